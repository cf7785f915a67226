"""From a Redis connection of the application to one for enqueuing, and to the URL for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from redis import BlockingConnectionPool, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.sentinel import SentinelConnectionPool
from rq.connections import get_connection_kwargs

from taskbridge.brokers.redis import pool_arguments
from taskbridge.brokers.sentinel import own_pool, sentinel_url
from taskbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import Any

CLASSES: Final = (
    "--worker-class", "taskbridge_rq.Worker",
    "--queue-class", "taskbridge_rq.queue.Queue",
    "--connection-class", "taskbridge_rq.patience.PatientRedis",
)  # fmt: skip
"""What makes a worker of RQ's command ours, beside its job class."""


def for_enqueuing(connection: Redis, /) -> Redis:
    """A client of its own that reaches the same server, and that repeats no write.

    A pool of a kind that is not known is used as it is.
    """
    pool = connection.connection_pool
    if type(pool) is SentinelConnectionPool and pool.is_master:
        return Redis(connection_pool=own_pool(pool, **pool_arguments(), decode_responses=False))
    if type(pool) not in (ConnectionPool, BlockingConnectionPool):
        return connection
    theirs = {key: value for key, value in get_connection_kwargs(connection).items() if value is not None}
    ours = pool_arguments()
    arguments: dict[str, Any] = {**ours, **theirs, "retry": ours["retry"], "decode_responses": False}
    arguments.pop("retry_on_error", None)
    arguments.pop("retry_on_timeout", None)
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **arguments))


def worker_url(connection: Redis, /) -> str:
    """The URL, password included, by which a worker reaches the same server.

    Raises:
        ConfigurationError: no URL says how this connection is made.
    """
    pool = connection.connection_pool
    if type(pool) is SentinelConnectionPool and (watched := sentinel_url(pool)) is not None:
        return watched
    arguments = pool.connection_kwargs
    if type(pool) not in (ConnectionPool, BlockingConnectionPool) or arguments.get("credential_provider") is not None:
        raise ConfigurationError(
            "The RQ connection of yours is made in a way that no URL can say. Start the workers yourself, with a "
            f"settings module: rq worker QUEUE -c settings -S json -j taskbridge_rq.app.Job {' '.join(CLASSES)}"
        )
    username, password = arguments.get("username") or "", arguments.get("password") or ""
    login = f"{quote(username, safe='')}:{quote(password, safe='')}@" if username or password else ""
    database = int(arguments.get("db") or 0)
    if issubclass(pool.connection_class, UnixDomainSocketConnection):
        return f"unix://{login}{quote(arguments['path'])}?{urlencode({'db': database})}"
    scheme = "rediss" if issubclass(pool.connection_class, SSLConnection) else "redis"
    host = str(arguments.get("host", "localhost"))
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{login}{host}:{arguments.get('port', 6379)}/{database}"
