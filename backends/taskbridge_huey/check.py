"""What `taskbridge check` sees of a Huey instance and its storage."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from huey.storage import RedisStorage, SqliteStorage

from taskbridge.check.finding import error
from taskbridge_huey.claiming import own_storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huey import Huey

    from taskbridge.check.finding import Finding


def instance_findings(huey: Huey, /) -> Iterator[Finding]:
    """Reachability and durability of the storage, and whether jobs go there at all."""
    if huey.immediate:
        yield error(
            f"Huey instance {huey.name!r}",
            "immediate is on",
            consequence="Your own calls run their tasks in the caller, and lose them with it.",
            remedy="Take immediate=True out; for tests there is memory://.",
        )
    storage = own_storage(huey)
    if isinstance(storage, RedisStorage):
        from taskbridge.check.redis import redis_findings

        yield from redis_findings(storage.conn)
    elif isinstance(storage, SqliteStorage):
        yield from _file(storage)


def _file(storage: SqliteStorage) -> Iterator[Finding]:
    about = f"file {storage.filename}"
    if storage.filename == ":memory:":
        yield error(
            about,
            "it is in memory",
            consequence="No worker sees the jobs, and they end with this process.",
            remedy="Name a file.",
        )
        return
    try:
        with storage.db(commit=True) as cursor:
            cursor.execute("delete from task where queue = ? and id < 0", (storage.name,))
    except sqlite3.Error as problem:
        yield error(
            about,
            f"it cannot be written: {problem}",
            consequence="Enqueuing raises BrokerUnavailable, and workers wait.",
            remedy="Correct the path in the URL, free the disk, or let this user write the file and its folder.",
        )
