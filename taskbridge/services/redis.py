"""Redis: a private server, and the parts of any server."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import count
from urllib.parse import quote, urlsplit

from taskbridge.errors import ConfigurationError
from taskbridge.process import Command
from taskbridge.services.resp import RedisRefused, ask
from taskbridge.services.server import PrivateServer

CLAIMS = "taskbridge:claimed:"
_CLAIM_SECONDS = 6 * 3600


class RedisServer(PrivateServer):
    """Takes 0.1 s to start. `persistent` keeps an append-only file, synced each second."""

    kind = "redis"
    accepts = frozenset({"persistent", "password"})
    ready_within = timedelta(seconds=15)
    taken = "Address already in use"

    def prepare(self) -> None:
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f'dir "{self.directory}"',
            "daemonize no",
            "databases 256",
            'save ""',
            f"appendonly {'yes' if self.options.persistent else 'no'}",
            "appendfsync everysec",
        ]
        secret = ""
        if self.options.password is not None:
            quoted = self.options.password.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'requirepass "{quoted}"')
            secret = f":{quote(self.options.password, safe='')}@"
        (self.directory / "redis.conf").write_text("\n".join(lines) + "\n")
        self.url = f"redis://{secret}127.0.0.1:{self.port}/0"

    def command(self) -> Command:
        program = self.installation.programs["redis-server"]
        return Command(
            argv=(str(program), str(self.directory / "redis.conf")), environment=self.installation.environment
        )

    def answers(self) -> bool:
        try:
            return ask(self.url, ("PING",)) == ["PONG"]
        except (OSError, RedisRefused):  # "LOADING" while the append-only file is read
            return False

    def read_version(self) -> str:
        return redis_version(self.url)

    def fresh_url(self) -> str:
        return claim_database(self.url)


def redis_version(url: str) -> str:
    """The version of the server at this URL. Raises OSError or RedisRefused."""
    found = re.search(r"^redis_version:(\S+)", str(ask(url, ("INFO", "server"))[0]), re.MULTILINE)
    if found is None:
        raise ConnectionError("the server's INFO names no redis_version")
    return found[1]


def claim_database(url: str) -> str:
    """The URL of an empty database of this server, from 1 upwards; a key in database 0 claims it for six hours.

    Raises ConfigurationError if none is left.
    """
    base = urlsplit(url)._replace(path="/0")
    for number in count(1):
        candidate = base._replace(path=f"/{number}").geturl()
        try:
            empty = ask(candidate, ("DBSIZE",)) == [0]
        except RedisRefused as refused:
            raise ConfigurationError(f"no empty database is left on Redis at port {base.port}: {refused}") from refused
        claim = ("SET", f"{CLAIMS}{number}", "1", "NX", "EX", str(_CLAIM_SECONDS))
        if empty and ask(base.geturl(), claim) == ["OK"]:
            return candidate
    raise AssertionError("count() has no end")


def release_database(url: str) -> None:
    """Empty a database that `claim_database` gave, and let others claim it."""
    number = urlsplit(url).path.strip("/")
    ask(url, ("FLUSHDB",))
    ask(urlsplit(url)._replace(path="/0").geturl(), ("DEL", f"{CLAIMS}{number}"))
