"""Huey instances for a URL, and how they store many messages at once."""

from __future__ import annotations

import re
import sqlite3
import struct
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from huey.api import Huey
from huey.storage import PriorityRedisStorage, RedisStorage, SqliteStorage

from taskbridge.errors import BrokerUnavailable, ConfigurationError, EnqueueError
from taskbridge_huey.claiming import own_storage
from taskbridge_huey.patches import forget_connection_after_fork
from taskbridge_huey.serializer import JSONSerializer, PickleSerializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskbridge.brokers.redis import Sender
    from taskbridge.settings import BackendURL

LOCK_SECONDS = 5
"""How long a write waits for another process's lock on the SQLite file."""


def open_huey(url: BackendURL, queue_name: str, /) -> Huey:
    """The Huey of one queue.

    Raises:
        BrokerUnavailable: the SQLite file cannot be opened.
    """
    is_pickle = url.choice("serializer", ("json", "pickle"), "json") == "pickle"
    serializer = PickleSerializer() if is_pickle else JSONSerializer()
    if url.broker != "sqlite":
        from taskbridge.brokers.redis import producer_pool

        storage = PriorityRedisStorage if url.flag("priority") else RedisStorage
        return Huey(
            queue_name, results=False, serializer=serializer, storage_class=storage, connection_pool=producer_pool(url)
        )
    try:
        huey = Huey(
            queue_name,
            results=False,
            serializer=serializer,
            storage_class=SqliteStorage,
            filename=sqlite_path(url),
            timeout=LOCK_SECONDS,
        )
    except sqlite3.Error as error:
        raise BrokerUnavailable(f"{url}: the file cannot be opened: {error}", maybe_accepted=False) from error
    forget_connection_after_fork(huey.storage)
    return huey


def check_queues(url: BackendURL, queues: Iterable[str], /) -> None:
    """Refuse two queues that are one to Huey, which drops all but letters, digits and underscores on Redis.

    Raises:
        ConfigurationError: it names both.
    """
    if url.broker == "sqlite":
        return
    names: dict[str, str] = {}
    for queue_name in queues:
        kept = re.sub("[^A-Za-z0-9_]", "", queue_name)
        if not kept:
            raise ConfigurationError(
                f"{url}: Huey drops every character of the queue name {queue_name!r}. Use letters."
            )
        if names.setdefault(kept, queue_name) != queue_name:
            raise ConfigurationError(
                f"{url}: the queues {names[kept]!r} and {queue_name!r} are one to Huey, which calls both {kept!r} on "
                f"Redis. Rename one of them."
            )


def adopt_huey(huey: Huey, /) -> Huey:
    """Make room for our headers in the messages of the application's own instance.

    Raises:
        ConfigurationError: its serializer leaves no room.
    """
    serializer = huey.serializer
    if isinstance(serializer, JSONSerializer | PickleSerializer):
        return huey
    if type(serializer).__name__ != "Serializer" or serializer.comp:
        raise ConfigurationError(
            f"The Huey instance {huey.name!r} signs, compresses or encodes its messages in its own way, which leaves "
            f"no room for headers. Give TaskBridge an instance with the plain serializer."
        )
    huey.serializer = PickleSerializer(pickle_protocol=serializer.pickle_protocol)
    return huey


def sqlite_path(url: BackendURL, /) -> str:
    """The file's path: relative after three slashes, absolute after four."""
    path = url.path.removeprefix("/")
    if not path or url.host:
        raise ConfigurationError(f"{url}: write huey+sqlite:///./queue.db, or four slashes for an absolute path.")
    return path


def writer(huey: Huey, url: BackendURL | None, /) -> Callable[[Sequence[tuple[bytes, int]]], object]:
    """How to store (data, priority) pairs in this Huey: in one write, or one transaction."""
    storage = own_storage(huey)
    if isinstance(storage, SqliteStorage):
        return partial(_insert, storage)
    if url is None:
        return partial(_enqueue_each, storage)
    from taskbridge.brokers.redis import Sender

    return partial(
        _add if isinstance(storage, PriorityRedisStorage) else _push, Sender(storage.pool), storage.queue_key
    )


def enqueue_failure(label: str, error: Exception, /) -> EnqueueError | None:
    """What to raise for an error of a storage; None if it is another's."""
    if isinstance(error, sqlite3.Error):
        return EnqueueError(f"{label} did not take the job: {error}", maybe_accepted=False)
    if "redis" not in sys.modules:
        return None
    from redis import RedisError

    from taskbridge.brokers.redis import enqueue_error

    return enqueue_error(label, error) if isinstance(error, RedisError) else None


def _insert(storage: SqliteStorage, serialized: Sequence[tuple[bytes, int]]) -> None:
    statement = "insert into task (queue, data, priority) values (?, ?, ?)"
    if len(serialized) == 1:  # a transaction by itself
        ((data, priority),) = serialized
        with storage.lock:
            storage.conn.execute(statement, (storage.name, memoryview(data), priority))
        return
    with storage.db(commit=True) as cursor:
        cursor.executemany(statement, [(storage.name, memoryview(data), priority) for data, priority in serialized])


def _push(sender: Sender, key: str, serialized: Sequence[tuple[bytes, int]]) -> None:
    sender.send("LPUSH", key, *[data for data, _ in serialized])


def _add(sender: Sender, key: str, serialized: Sequence[tuple[bytes, int]]) -> None:
    first = int(time.time() * 1e6)
    flat: list[bytes | int] = []
    for place, (data, priority) in enumerate(serialized):
        flat += (-priority, struct.pack(">Q", first + place) + data)
    sender.send("ZADD", key, *flat)


def _enqueue_each(storage: Any, serialized: Sequence[tuple[bytes, int]]) -> None:
    for data, priority in serialized:
        storage.enqueue(data, priority or None)
