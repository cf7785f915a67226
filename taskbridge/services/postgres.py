"""PostgreSQL: a private server, and the parts of any server."""

from __future__ import annotations

import os
import re
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from taskbridge.errors import ConfigurationError, ProcessFailed
from taskbridge.process import Command, Identity, Process
from taskbridge.services.server import PrivateServer

if TYPE_CHECKING:
    from pathlib import Path

_USER = "taskbridge"
_INITDB = timedelta(seconds=90)
_READY = "database system is ready to accept connections"


class PostgresServer(PrivateServer):
    """Takes 1 s to start. Refuses to be root, so root runs it as `postgres` or `nobody`. `fsync` is on by default."""

    kind = "postgres"
    accepts = frozenset({"password", "fsync"})
    ready_within = timedelta(seconds=60)
    taken = "Address already in use"
    # A killed server leaves its System V segment, which is the seventh line's second number.
    before_removal = (
        'segment=$(sed -n "7s/.* //p" "$1/data/postmaster.pid" 2>/dev/null) && '
        '[ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null'
    )

    def identity(self) -> Identity | None:
        if os.geteuid() != 0:
            return None
        try:
            return Identity.of("postgres", "nobody")
        except LookupError as missing:
            raise ConfigurationError(f"PostgreSQL refuses to run as root, and there is {missing}") from missing

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def prepare(self) -> None:
        password = self.options.password
        identity = self.identity()
        if identity is not None:
            os.chown(self.directory, identity.uid, identity.gid)
            self._let_in(identity)
        if not self._data.exists():
            self._initialise(identity)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            # In the folder, so that nothing of a killed server stays in /dev/shm.
            "dynamic_shared_memory_type": "mmap",
            "fsync": "off" if self.options.fsync is False else "on",
            "log_destination": "stderr",
            "logging_collector": "off",
            "lc_messages": "C",
        }
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        (self._data / "taskbridge.conf").write_text("\n".join(lines) + "\n")
        secret = f":{quote(password, safe='')}" if password is not None else ""
        self.url = f"postgresql://{_USER}{secret}@127.0.0.1:{self.port}/postgres"

    def _let_in(self, identity: Identity) -> None:
        """Root's own virtual environment or cache is often closed to others; then run a copy."""
        if self.installation.root is not None and not identity.may_enter(self.installation.root):
            self.installation = self.installation.copied_to(self.directory / "installation")

    def _initialise(self, identity: Identity | None) -> None:
        argv = [self._program("initdb"), "-D", str(self._data), "-U", _USER, "-E", "UTF8", "--locale=C", "--no-sync"]
        password = self.options.password
        if password is None:
            argv += ["-A", "trust"]
        else:
            secret = self.directory / "password"
            secret.write_text(password + "\n")
            if identity is not None:
                os.chown(secret, identity.uid, identity.gid)
            argv += ["-A", "scram-sha-256", f"--pwfile={secret}"]
        with Process(self._command(*argv), log=self.directory / "initdb.log", identity=identity) as initdb:
            if initdb.wait(within=_INITDB) != 0:
                raise ProcessFailed(f"initdb failed with exit code {initdb.exit_code}{initdb.log_tail()}")
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.write("include 'taskbridge.conf'\n")

    def _program(self, name: str) -> str:
        return str(self.installation.programs[name])

    def _command(self, *argv: str) -> Command:
        return Command(argv=argv, directory=self.directory, environment=self.installation.environment)

    def command(self) -> Command:
        return self._command(self._program("postgres"), "-D", str(self._data))

    def answers(self) -> bool:
        return _READY in self.process.output()

    def read_version(self) -> str:
        found = re.search(r"starting PostgreSQL (\S+)", self.process.output())
        if found is None:
            raise ProcessFailed(f"PostgreSQL has not logged its version{self.process.log_tail()}")
        return found[1]

    def fresh_url(self) -> str:
        return create_database(self.url)


def postgres_version(url: str) -> str:
    """The version of the server at this URL. Raises ConfigurationError or OSError."""
    return _ask(url, "SHOW server_version").split()[0]


def create_database(url: str) -> str:
    """The URL of a new, empty database of this server. Raises ConfigurationError or OSError."""
    name = f"taskbridge_{uuid.uuid4().hex[:12]}"
    _ask(url, f"CREATE DATABASE {name}")
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def drop_database(url: str) -> None:
    """Drop a database that `create_database` made, with its connections."""
    parts = urlsplit(url)
    _ask(parts._replace(path="/postgres").geturl(), f"DROP DATABASE IF EXISTS {parts.path.strip('/')} WITH (FORCE)")


def _ask(url: str, statement: str) -> str:
    """Run one statement; the first value of its first row, if it has one."""
    try:
        import psycopg
    except ImportError as missing:
        raise ConfigurationError(
            f"PostgreSQL on {urlsplit(url).hostname} cannot be asked without psycopg: "
            "run pip install 'taskbridge[postgres]'"
        ) from missing
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return str(row[0]) if row else ""
    except psycopg.Error as error:
        raise ConnectionError(f"PostgreSQL refuses {statement!r}: {error}") from error
