"""RabbitMQ: a private node, and the parts of any server."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from taskbridge.errors import ProcessFailed
from taskbridge.process import Command, free_port
from taskbridge.services.server import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIMEOUT = 3.0
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
_USER = "taskbridge"


class RabbitMQServer(PrivateServer):
    """Takes 6 s to start on an idle machine and 15 s on a busy one; 145 MB resident.

    The library folder's own script, not the wrapper on PATH: that one changes the user and writes into the system's
    log. Its epmd is private too (an own port) and dies with the tree, although it is a daemon.
    """

    kind = "rabbitmq"
    accepts = frozenset({"password", "consumer_timeout"})
    ready_within = timedelta(seconds=120)
    taken = "eaddrinuse"

    def prepare(self) -> None:
        self._distribution_port = free_port()
        self._epmd_port = free_port()
        password = self.options.password if self.options.password is not None else _USER
        escaped = password.replace("\\", "\\\\").replace('"', '\\"')
        lines = [
            f"listeners.tcp.local = 127.0.0.1:{self.port}",
            f"default_user = {_USER}",
            "loopback_users.taskbridge = true",
            "log.console = true",
            "log.console.formatter.plaintext.format = $time [$level] $msg\\n",
            "log.file = false",
        ]
        tables = [f'{{default_pass, <<"{escaped}">>}}']
        if self.options.consumer_timeout is not None:
            milliseconds = int(self.options.consumer_timeout.total_seconds() * 1000)
            # The timeout is looked at once a tick, by default each minute.
            tables += [f"{{consumer_timeout, {milliseconds}}}", f"{{channel_tick_interval, {min(milliseconds, 1000)}}}"]
        self._write("rabbitmq.conf", "\n".join(lines) + "\n")
        self._write("advanced.config", f"[{{rabbit, [{', '.join(tables)}]}}].\n")
        self._write("enabled_plugins", "[].\n")
        self._write("environment.conf", "")
        self.url = f"amqp://{_USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/%2F"

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    @property
    def node(self) -> str:
        """The Erlang node's name."""
        return f"taskbridge-{self.port}@localhost"

    def command(self) -> Command:
        folder = self.directory
        return Command(
            argv=(str(self.installation.programs["rabbitmq-server"]),),
            directory=folder,
            environment={
                **self._erlang_environment(),
                "detached": "1",  # the script becomes the node, instead of waiting for it
                "RABBITMQ_NODENAME": self.node,
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_DIST_PORT": str(self._distribution_port),
                "RABBITMQ_CONF_ENV_FILE": str(folder / "environment.conf"),
                "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
                "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
                "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "feature_flags"),
                "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
                "RABBITMQ_MNESIA_BASE": str(folder / "data"),
                "RABBITMQ_LOG_BASE": str(folder / "log"),
                "RABBITMQ_PID_FILE": str(folder / "pid"),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            },
        )

    def _erlang_environment(self) -> Mapping[str, str]:
        """HOME holds the node's cookie, so it is private too."""
        return {
            **self.installation.environment,
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def answers(self) -> bool:
        try:
            return bool(rabbitmq_version(self.url))
        except OSError:
            return False

    def read_version(self) -> str:
        return rabbitmq_version(self.url)

    def fresh_url(self) -> str:
        name = f"fresh-{uuid.uuid4().hex[:12]}"
        user, host, everything = f'<<"{_USER}">>', f'<<"{name}">>', '<<".*">>'
        self.evaluate(
            f"ok = rabbit_vhost:add({host}, {user}), ok = rabbit_auth_backend_internal:set_permissions"
            f"({user}, {host}, {everything}, {everything}, {everything}, {user})."
        )
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def evaluate(self, expression: str) -> str:
        """The value of an Erlang expression on the node, in 20 ms where `rabbitmqctl` takes one second or more.

        Raises ProcessFailed, with the answer, if it fails.
        """
        done = subprocess.run(
            [str(erl_call(self.installation.programs["erl"])), "-sname", self.node, "-e"],
            input=expression.encode() + b"\n",
            capture_output=True,
            env={**os.environ, **self._erlang_environment()},
            timeout=30,
            check=False,
        )
        answer = done.stdout.decode(errors="replace")
        if done.returncode != 0 or not answer.startswith("{ok, "):
            raise ProcessFailed(f"the node {self.node} does not run {expression!r}: {answer or done.stderr.decode()}")
        return answer.removeprefix("{ok, ").removesuffix("}")


def erl_call(erl: Path) -> Path:
    """Erlang's program that talks to a node, beside this `erl`. Raises FileNotFoundError."""
    root = erl.resolve().parent.parent
    for candidate in (root / "bin" / "erl_call", *sorted(root.glob("lib/erl_interface-*/bin/erl_call"))):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"no erl_call below {root}: install Erlang's erl_interface")


def rabbitmq_version(url: str) -> str:
    """The version in the greeting of the server at this URL, read before any login. Raises OSError."""
    parts = urlsplit(url)
    secure = parts.scheme == "amqps"
    host = unquote(parts.hostname or "localhost")
    with socket.create_connection((host, parts.port or (5671 if secure else 5672)), _TIMEOUT) as plain:
        if secure:
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as encrypted:
                return _greeted_version(encrypted)
        return _greeted_version(plain)


def _greeted_version(connection: socket.socket) -> str:
    connection.sendall(_PROTOCOL_HEADER)
    with connection.makefile("rb") as stream:
        header = stream.read(7)
        frame = stream.read(int.from_bytes(header[3:7])) if header[:1] == b"\x01" else b""
    # A field table: the name's length in one byte, the name, `S`, the value's length in four bytes, the value.
    found = re.search(rb"\x07versionS\x00\x00\x00(.)", frame, re.DOTALL)
    if found is None:
        raise ConnectionError(f"this is not an AMQP 0-9-1 server: it answers {(header + frame)[:40]!r}")
    return frame[found.end() : found.end() + found[1][0]].decode()
