"""From a URL to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from taskbridge.errors import BackendNotInstalled, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.store.protocol import Store


def open_store(url: str, /) -> Store:
    """The store at this URL. Nothing is connected before its first use.

    `sqlite:///./file.db` (relative), `sqlite:////absolute/file.db`, `postgresql://user:password@host/database`,
    `redis://host/0` (`rediss`; `?prefix=` names the keys, `taskbridge` unless given; behind Sentinel
    `redis://a:26379,b:26379/0?sentinel=mymaster`), `memory://` (this object alone).

    Raises:
        ConfigurationError: a scheme that no store has, or a URL that cannot work.
        BackendNotInstalled: the client library is missing; the message names the extra.
    """
    parts = urlsplit(url)
    opener = _OPENERS.get(parts.scheme)
    if opener is None:
        known = ", ".join(sorted(f"{scheme}://" for scheme in _OPENERS))
        raise ConfigurationError(f"no store has the scheme {parts.scheme!r}; there are {known}")
    return opener(parts)


def _sqlite(parts: SplitResult) -> Store:
    from pathlib import Path

    from taskbridge.store.sql import SQLStore
    from taskbridge.store.sqlite import sqlite_database

    path = unquote(parts.path)
    if parts.netloc or parts.query or not path.strip("/") or path.endswith("/") or path == "/:memory:":
        raise ConfigurationError(
            "the store's URL names no SQLite file: write sqlite:///./file.db for one in the working "
            "directory or sqlite:////absolute/file.db, with no host and no options; for no file at all, memory://"
        )
    return SQLStore(sqlite_database(Path(path[1:])))


def _postgresql(parts: SplitResult) -> Store:
    from taskbridge.store.sql import SQLStore

    try:
        from taskbridge.store.postgresql import postgresql_database
    except ImportError as error:
        raise _not_installed("psycopg", "postgres") from error
    return SQLStore(postgresql_database(parts._replace(scheme="postgresql").geturl()))


def _redis(parts: SplitResult) -> Store:
    try:
        from taskbridge.store.redis import RedisStore
        from taskbridge.store.redis_keys import redis_client
    except ImportError as error:
        raise _not_installed("redis", "redis") from error
    query = dict(parse_qsl(parts.query))
    prefix = query.pop("prefix", "taskbridge")
    try:
        client = redis_client(parts._replace(query=urlencode(query)).geturl())
    except (ValueError, TypeError):
        # The error quotes the part that cannot be read, which may be the password.
        raise ConfigurationError(
            "the store's Redis URL cannot be read: write redis://user:password@host:port/0, with special characters in "
            "user and password percent-encoded, and only options that redis.Redis.from_url has"
        ) from None
    return RedisStore(client, prefix=prefix)


def _memory(parts: SplitResult) -> Store:
    from taskbridge.store.memory import MemoryStore

    if parts.netloc or parts.path or parts.query:
        raise ConfigurationError("a store in memory has no options and no name: write memory:// and nothing after it")
    return MemoryStore()


def _not_installed(package: str, extra: str) -> BackendNotInstalled:
    return BackendNotInstalled(f"a store on {package} needs its client library: pip install 'taskbridge[{extra}]'")


_OPENERS: Final[dict[str, Callable[[SplitResult], Store]]] = {
    "memory": _memory,
    "postgres": _postgresql,
    "postgresql": _postgresql,
    "redis": _redis,
    "rediss": _redis,
    "sqlite": _sqlite,
}
