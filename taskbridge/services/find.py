"""Where a server comes from.

The first of these that has one: a given URL (argument, or `TASKBRIDGE_TEST_REDIS_URL` and its sisters); the programs
installed on the system; else a refusal that names the command to run. Whatever the source, a server that we start is
private: loopback only, a free port, a temporary folder, and it ends when we end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge.errors import ServiceUnavailable
from taskbridge.services import system, url
from taskbridge.services.postgres import PostgresServer
from taskbridge.services.rabbitmq import RabbitMQServer
from taskbridge.services.redis import RedisServer
from taskbridge.services.server import Kind, Options, PrivateServer, Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge.services.installation import Installation

_SERVERS: Mapping[Kind, type[PrivateServer]] = {
    "redis": RedisServer,
    "rabbitmq": RabbitMQServer,
    "postgres": PostgresServer,
}
_PACKAGES: Mapping[Kind, str] = {"redis": "redis-server", "rabbitmq": "rabbitmq-server", "postgres": "postgresql"}


def start(kind: Kind, *, at: str | None = None, options: Options | None = None) -> Server:
    """A running server of this kind, private unless a URL is given (`at`, or the environment).

    Raises ServiceUnavailable if no source has it, ProcessFailed if it does not start.
    """
    given = url.find(kind, at)
    if given is not None:
        return given
    return _SERVERS[kind](installation(kind), options or Options())


def installation(kind: Kind) -> Installation:
    """The first source's programs. Raises ServiceUnavailable if no source has them."""
    found = system.find(kind)
    if found is None:
        raise ServiceUnavailable(
            f"no {kind} server: none is installed and no URL is given. "
            f"Run `apt-get install {_PACKAGES[kind]}`, or set {url.VARIABLES[kind]}"
        )
    return found
