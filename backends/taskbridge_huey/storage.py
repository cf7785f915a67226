"""Huey instances for a URL, and how they store many messages at once."""

from __future__ import annotations

import re
import sqlite3
import struct
import time
from typing import TYPE_CHECKING

from huey.api import Huey
from huey.storage import PriorityRedisStorage, RedisStorage, SqliteStorage

from taskbridge.errors import BrokerUnavailable, ConfigurationError
from taskbridge_huey.claiming import own_storage
from taskbridge_huey.patches import forget_connection_after_fork
from taskbridge_huey.serializer import JSONSerializer, PickleSerializer

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def check_queues(url: BackendURL, queues: Sequence[str], /) -> None:
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


def store(huey: Huey, serialized: Sequence[tuple[bytes, int]], /) -> None:
    """Store (message, priority) pairs: one write, or one transaction."""
    storage = own_storage(huey)
    if len(serialized) == 1 or not isinstance(storage, SqliteStorage | RedisStorage):
        for data, priority in serialized:
            storage.enqueue(data, priority or None)
    elif isinstance(storage, SqliteStorage):
        rows = [(storage.name, memoryview(data), priority) for data, priority in serialized]
        with storage.db(commit=True) as cursor:
            cursor.executemany("insert into task (queue, data, priority) values (?, ?, ?)", rows)
    elif isinstance(storage, PriorityRedisStorage):
        first = int(time.time() * 1e6)
        members = {
            struct.pack(">Q", first + place) + data: -priority for place, (data, priority) in enumerate(serialized)
        }
        storage.conn.zadd(storage.queue_key, members)
    else:
        storage.conn.lpush(storage.queue_key, *[data for data, _ in serialized])
