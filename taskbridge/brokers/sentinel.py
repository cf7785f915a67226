"""Redis behind Sentinel: pools of connections that go to whichever server is the master.

The URL of such a Redis has the Sentinels as its hosts: `redis://user:password@a:26379,b:26379/0?sentinel=mymaster`.
`rediss` means TLS to the Sentinels as to the master.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from redis import connection as redis_connection
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from taskbridge.settings.sentinel import SECRET, SENTINEL_OPTIONS

if TYPE_CHECKING:
    from taskbridge.settings import BackendURL

SENTINEL_PORT: Final = 26379
SEARCH_SECONDS: Final = 5
"""How long it may take until all Sentinels have been asked, where none answers."""


class Sentinels(Sentinel):
    """Asks one after the other, and says of each why it names no master."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Address of the master; the Sentinel that named it is asked first the next time."""
        answers: list[str] = []
        for sentinel in list(self.sentinels):
            where: dict[str, Any] = sentinel.connection_pool.connection_kwargs
            place = f"{_name(where['host'])}:{where['port']}"
            try:
                masters: Any = sentinel.sentinel_masters()
            except exceptions.RedisError as error:
                answers.append(f"{place} does not answer ({error})")
                continue
            if service_name not in masters:
                answers.append(f"{place} watches {', '.join(sorted(masters)) or 'nothing'}")
            elif not self.check_master_state(masters[service_name], service_name):  # type: ignore[no-untyped-call]  # redis-py's
                answers.append(f"{place} takes it for down")
            else:
                self.sentinels = [sentinel, *(each for each in self.sentinels if each is not sentinel)]
                return masters[service_name]["ip"], masters[service_name]["port"]
        raise MasterNotFoundError(f"no master {service_name!r}: {'; '.join(answers)}")


class MasterConnection(SentinelManagedConnection):
    """A connection that asks the Sentinels whenever it is made anew.

    redis-py's does so for a new one, but goes back to the old master with one that was cut in use, again and again
    where commands are repeated (https://github.com/redis/redis-py/issues/3874, open for 8.1).
    """

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Connect, unless it is connected."""
        if self._sock is None and retry_socket_connect:
            self.connect()  # type: ignore[no-untyped-call]  # redis-py's
        else:
            super().connect_check_health(check_health, retry_socket_connect)


class SecureMasterConnection(MasterConnection, SentinelManagedSSLConnection):
    """The same over TLS."""


def sentinels(url: BackendURL, /) -> list[tuple[str, int]]:
    """Where the Sentinels are."""
    return [(host or "", port or SENTINEL_PORT) for host, port in ((url.host, url.port), *url.more_hosts)]


def sentinel_arguments(url: BackendURL, /) -> dict[str, Any]:
    """Arguments of a connection to one of the Sentinels, TLS apart.

    One that is silent is given up in time for the next: all of them share `SEARCH_SECONDS`.
    """
    patience = SEARCH_SECONDS / 2 / len(sentinels(url))
    return {
        "username": url.options.get("sentinel_username"),
        "password": url.options.get(SECRET),
        "socket_connect_timeout": patience,
        "socket_timeout": patience,
        "retry": Retry(NoBackoff(), 0),
    }


def sentinel_pool(url: BackendURL, /, **arguments: Any) -> SentinelConnectionPool:
    """A pool for the master. Nothing is connected yet.

    Raises:
        ValueError, TypeError: an option in the query that redis-py cannot use.
    """
    query = {key: value for key, value in url.options.items() if key not in SENTINEL_OPTIONS}
    scheme = url.broker or url.engine
    plain: dict[str, Any] = {**redis_connection.parse_url(f"{scheme}://localhost{url.path}?{urlencode(query)}")}
    plain.pop("host")
    is_secure = plain.pop("connection_class", None) is not None
    tls = {key: value for key, value in plain.items() if key.startswith("ssl_")}
    arguments_there = {**sentinel_arguments(url), "ssl": is_secure, **tls}
    manager = Sentinels(sentinels(url), sentinel_kwargs=arguments_there)  # type: ignore[no-untyped-call]  # redis-py's
    return SentinelConnectionPool(
        url.options["sentinel"],
        manager,
        connection_class=SecureMasterConnection if is_secure else MasterConnection,
        **{**plain, "username": url.username, "password": url.password, **arguments},
    )


def own_pool(pool: SentinelConnectionPool, /, **arguments: Any) -> SentinelConnectionPool:
    """A pool of its own for the same master, with these arguments in the place of the other's."""
    theirs = {key: value for key, value in pool.connection_kwargs.items() if key != "connection_pool"}
    is_secure = issubclass(pool.connection_class, redis_connection.SSLConnection)
    return SentinelConnectionPool(
        pool.service_name,
        pool.sentinel_manager,
        connection_class=SecureMasterConnection if is_secure else MasterConnection,
        **{**theirs, **arguments},
    )


def sentinel_url(pool: SentinelConnectionPool, /) -> str | None:
    """The URL, passwords included, by which another process finds the same master; None if no URL says it."""
    arguments = pool.connection_kwargs
    pools = [each.connection_pool for each in pool.sentinel_manager.sentinels]
    asked: list[dict[str, Any]] = [each.connection_kwargs for each in pools]
    is_secure = issubclass(pool.connection_class, redis_connection.SSLConnection)
    secured = {issubclass(each.connection_class, redis_connection.SSLConnection) for each in pools}
    logins = [(each.get("username") or "", each.get("password") or "") for each in asked]
    has_providers = any(each.get("credential_provider") is not None for each in (arguments, *asked))
    if has_providers or not pool.is_master or len(set(logins)) != 1 or secured != {is_secure}:
        return None
    login = ":".join(quote(arguments.get(key) or "", safe="") for key in ("username", "password"))
    hosts = ",".join(f"{_name(each['host'])}:{each['port']}" for each in asked)
    query = {"sentinel": pool.service_name, "sentinel_username": logins[0][0], SECRET: logins[0][1]}
    return (
        f"{'rediss' if is_secure else 'redis'}://{login.removesuffix(':')}{'@' if login != ':' else ''}{hosts}"
        f"/{int(arguments.get('db') or 0)}?{urlencode({key: value for key, value in query.items() if value})}"
    )


def _name(host: str) -> str:
    return f"[{host}]" if ":" in host else host
