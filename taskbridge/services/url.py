"""Source: a server that is already there, named by a URL. It is never stopped, killed or reconfigured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, NoReturn

from taskbridge.errors import ConfigurationError, ServiceUnavailable
from taskbridge.services import management, postgres, rabbitmq, redis
from taskbridge.services.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskbridge.services.kind import Kind

VARIABLES: Mapping[Kind, str] = {
    "redis": "TASKBRIDGE_TEST_REDIS_URL",
    "rabbitmq": "TASKBRIDGE_TEST_AMQP_URL",
    "postgres": "TASKBRIDGE_TEST_POSTGRES_URL",
}


class GivenServer(Server):
    """A server that we did not start. Only the parts that `fresh_url` gave out are ours: `stop` empties them."""

    version_of: ClassVar[Mapping[Kind, Callable[[str], str]]] = {
        "redis": redis.redis_version,
        "rabbitmq": rabbitmq.rabbitmq_version,
        "postgres": postgres.postgres_version,
    }
    claim: ClassVar[Mapping[Kind, Callable[[str], str]]] = {
        "redis": redis.claim_database,
        "rabbitmq": management.create_vhost,
        "postgres": postgres.create_database,
    }
    release: ClassVar[Mapping[Kind, Callable[[str], None]]] = {
        "redis": redis.release_database,
        "rabbitmq": management.delete_vhost,
        "postgres": postgres.drop_database,
    }

    def __init__(self, kind: Kind, url: str, *, named_by: str) -> None:
        """Raises ServiceUnavailable if nobody answers there, or it is no single server."""
        if kind == "redis" and "sentinel=" in url:
            raise ServiceUnavailable(
                f"{named_by} names Redis behind Sentinel: experiments and tests need one server for themselves, so "
                f"name one, such as redis://localhost:6379/0"
            )
        self.kind = kind
        self.url = url
        self.origin = "url"
        self._claimed: list[str] = []
        try:
            self.version = self.version_of[kind](url)
        except (OSError, ConfigurationError) as error:
            raise ServiceUnavailable(
                f"{named_by} names a {kind} server that does not answer ({error}): "
                "start it, correct the URL, or unset it to use a private server"
            ) from error

    @property
    def pid(self) -> None:
        return None

    def fresh_url(self) -> str:
        url = self.claim[self.kind](self.url)
        self._claimed.append(url)
        return url

    def stop(self) -> None:
        while self._claimed:
            self.release[self.kind](self._claimed.pop())

    def kill(self) -> NoReturn:
        self._refuse("kill")

    def restart(self) -> NoReturn:
        self._refuse("restart")

    def _refuse(self, what: str) -> NoReturn:
        raise ConfigurationError(
            f"cannot {what} the {self.kind} server that was given by URL: TaskBridge only touches what it started; "
            f"unset {VARIABLES[self.kind]} to use a private server"
        )


def find(kind: Kind, url: str | None) -> GivenServer | None:
    """The server at `url`, or at the URL in this kind's environment variable; None if neither is given."""
    if url is not None:
        return GivenServer(kind, url, named_by="the given URL")
    in_environment = given(kind)
    return GivenServer(kind, in_environment, named_by=VARIABLES[kind]) if in_environment else None


def given(kind: Kind) -> str | None:
    """The URL in this kind's environment variable."""
    return os.environ.get(VARIABLES[kind]) or None
