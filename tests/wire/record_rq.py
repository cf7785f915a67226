"""What RQ itself writes for a job: `python -m tests.wire.record_rq` records it for the installed version."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

from redis import Redis
from rq import Queue

from taskbridge import services
from taskbridge_rq.wire import FAILURE_SECONDS, RESULT_SECONDS

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)
JOB_ID = "0199c0de-0000-7000-8000-000000000001"
RUN_AFTER = datetime(2026, 3, 1, 13, 0, 0, tzinfo=UTC)
HEADERS = '{"enqueued_at":"2026-03-01T12:30:15.250000Z","metadata":{"tenant":"zürich"}}'
ARGS = [42, "Zoë", None, {"items": [1, 2.5, True]}]
KWARGS = {"note": "a\u2028b", "when": "2026-03-01T12:00:00Z"}


def write(redis: Redis, serializer: str, *, is_scheduled: bool) -> None:
    """One job, by RQ's own calls, with everything said that TaskBridge says."""
    queue = Queue("mail", connection=redis, serializer=serializer)
    with patch("rq.job.now", lambda: NOW), patch("rq.queue.now", lambda: NOW):
        job = queue.create_job(
            "shop.receipt",
            args=tuple(ARGS),
            kwargs=KWARGS,
            timeout=-1,
            result_ttl=RESULT_SECONDS,
            failure_ttl=FAILURE_SECONDS,
            description="shop.receipt",
            job_id=JOB_ID,
            meta={"taskbridge": HEADERS},
        )
        if is_scheduled:
            queue.schedule_job(job, RUN_AFTER)
        else:
            queue.enqueue_job(job)


def dump(redis: Redis) -> dict[str, Any]:
    """Everything in the database, by key."""
    client: Any = redis  # its methods are typed for the asynchronous client too
    readers = {
        b"hash": lambda key: {field.decode(): value for field, value in client.hgetall(key).items()},
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    return {key.decode(): readers[client.type(key)](key) for key in sorted(client.keys("*"))}


def plain(value: Any) -> Any:
    """Bytes as text of the same code points, which JSON can hold and people can partly read."""
    match value:
        case bytes():
            return value.decode("latin-1")
        case dict():
            return {key: plain(value[key]) for key in sorted(value)}
        case list() | tuple() | set():
            return [plain(each) for each in value]
        case _:
            return value


def load(name: str) -> dict[str, Any]:
    """What the pinned version wrote into an empty database, by key."""
    path = GOLDEN / "rq-2.12.0" / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def fields(recorded: dict[str, Any]) -> dict[bytes, bytes]:
    """The job's hash, as Redis gives it."""
    found = recorded[f"rq:job:{JOB_ID}"]
    return {key.encode(): value.encode("latin-1") for key, value in found.items()}


def main() -> None:
    folder = GOLDEN / f"rq-{version('rq')}"
    folder.mkdir(parents=True, exist_ok=True)
    with services.start("redis") as server:
        for serializer in ("json", "pickle"):
            for is_scheduled in (False, True):
                redis = Redis.from_url(server.fresh_url())
                write(redis, serializer, is_scheduled=is_scheduled)
                name = f"{serializer}-{'scheduled' if is_scheduled else 'queued'}.json"
                (folder / name).write_text(json.dumps(plain(dump(redis)), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
