"""What Huey itself writes for a job: `python -m tests.wire.record_huey` records it for the installed version."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from huey import Huey, PriorityRedisHuey, RedisHuey, SqliteHuey
from huey.api import Task
from huey.storage import SqliteStorage

from taskbridge import services

if TYPE_CHECKING:
    from redis import Redis

GOLDEN = Path(__file__).parent / "golden"
NOW = 1772368215.25
JOB_ID = "0199c0de-0000-7000-8000-000000000001"
RUN_AFTER = datetime(2026, 3, 1, 13, 0, 0, 500000, tzinfo=UTC)
EXPIRES = datetime(2026, 3, 1, 14, 0, 0, tzinfo=UTC)
ARGS = [42, "Zoë\ntaskbridge:{", None, {"items": [1, 2.5, True]}]
KWARGS = {"note": "a\u2028b", "when": "2026-03-01T12:00:00Z"}
PRIORITY = 7

STORAGES = {"sqlite": SqliteHuey, "redis": RedisHuey, "priority": PriorityRedisHuey}


def write(huey: Huey, *, has_priority: bool) -> None:
    """One job, by Huey's own call, with everything said that TaskBridge says to a stock consumer."""
    receipt = type("receipt", (Task,), {"__module__": "shop"})
    huey._registry.register(receipt)
    task = receipt(
        tuple(ARGS),
        KWARGS,
        id=JOB_ID,
        eta=RUN_AFTER.replace(tzinfo=None),
        expires=EXPIRES,
        priority=PRIORITY if has_priority else None,
        retries=0,
        retry_delay=0,
        retry_backoff=0,
    )
    with patch("huey.storage.time.time", lambda: NOW):
        huey.enqueue(task)


def dump(huey: Huey) -> list[list[Any]]:
    """What lies in Huey's queue: for each message its bytes and the place that decides about its turn."""
    storage = huey.storage
    if isinstance(storage, SqliteStorage):
        with closing(sqlite3.connect(storage.filename)) as connection:
            return [list(row) for row in connection.execute("select queue, priority, data from task order by id")]
    client: Redis = storage.conn
    if client.type(storage.queue_key) == b"zset":
        found: Any = client.zrange(storage.queue_key, 0, -1, withscores=True)
        return [[storage.queue_key, score, member] for member, score in found]
    listed: Any = client.lrange(storage.queue_key, 0, -1)
    return [[storage.queue_key, None, member] for member in listed]


def load(name: str) -> list[list[Any]]:
    """What the pinned version wrote into an empty storage, as `dump` gives it."""
    path = GOLDEN / "huey-3.5.4" / f"{name}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [[place, turn, data.encode("latin-1")] for place, turn, data in rows]


def main() -> None:
    folder = GOLDEN / f"huey-{version('huey')}"
    folder.mkdir(parents=True, exist_ok=True)
    with services.start("redis") as server, tempfile.TemporaryDirectory() as files:
        for name, kind in STORAGES.items():
            where = {"filename": f"{files}/queue.db"} if name == "sqlite" else {"url": server.fresh_url()}
            huey = kind("mail", **where)
            write(huey, has_priority=name != "redis")
            rows = [[place, turn, data.decode("latin-1")] for place, turn, data in dump(huey)]
            (folder / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
