"""Enough of Redis's protocol to look after a server without a client library."""

from __future__ import annotations

import socket
import ssl
from typing import IO
from urllib.parse import unquote, urlsplit

from taskbridge.errors import ConfigurationError

_TIMEOUT = 3.0

Reply = str | int | None


class RedisRefused(ConfigurationError):
    """The server answered with an error."""


def ask(url: str, *commands: tuple[str, ...]) -> list[Reply]:
    """Run these commands on one new connection; their replies.

    Logs in and selects the database as the URL says. Raises OSError if nobody answers, RedisRefused on an error reply.
    """
    parts = urlsplit(url)
    first: list[tuple[str, ...]] = []
    if parts.password:
        user = (unquote(parts.username),) if parts.username else ()
        first.append(("AUTH", *user, unquote(parts.password)))
    if database := parts.path.strip("/"):
        first.append(("SELECT", database))
    with socket.create_connection((parts.hostname or "localhost", parts.port or 6379), _TIMEOUT) as plain:
        if parts.scheme == "rediss":
            with ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname) as secure:
                replies = _talk(secure, [*first, *commands])
        else:
            replies = _talk(plain, [*first, *commands])
    return replies[len(first) :]


def _talk(connection: socket.socket, commands: list[tuple[str, ...]]) -> list[Reply]:
    for command in commands:
        words = [word.encode() for word in command]
        connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
    with connection.makefile("rb") as stream:
        return [_read(stream) for _ in commands]


def _read(stream: IO[bytes]) -> Reply:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("Redis closed the connection")
    kind, text = line[:1], line[1:-2].decode()
    if kind == b"-":
        raise RedisRefused(f"Redis refuses: {text}")
    if kind == b":":
        return int(text)
    if kind == b"$":
        return None if text == "-1" else stream.read(int(text) + 2)[:-2].decode(errors="replace")
    if kind == b"+":
        return text
    raise ConnectionError(f"this is not a Redis server: it answers {line[:40]!r}")
