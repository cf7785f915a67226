"""What Celery itself writes for a job: `python -m tests.wire.record_celery` records it for the installed version."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

from celery import Celery
from redis import Redis

from taskbridge import services

GOLDEN = Path(__file__).parent / "golden"
JOB_ID = "0199c0de-0000-7000-8000-000000000001"
RUN_AFTER = datetime(2030, 3, 1, 13, 0, 0, tzinfo=UTC)
EXPIRES = datetime(2030, 3, 2, 13, 0, 0, tzinfo=UTC)
HEADERS = '{"enqueued_at":"2026-03-01T12:30:15.250000Z","metadata":{"tenant":"zürich"}}'
ARGS: list[Any] = [42, "Zoë", None, {"items": [1, 2.5, True]}]
KWARGS: dict[str, Any] = {"note": "a\u2028b", "when": "2026-03-01T12:00:00Z"}
TYPED: list[Any] = [Decimal("1.50"), date(2026, 3, 1), RUN_AFTER, UUID(int=7), b"\xff", b"text"]

CASES: dict[str, dict[str, Any]] = {
    "plain": {"args": ARGS, "kwargs": KWARGS, "headers": {"taskbridge": HEADERS}},
    "delayed": {"args": ARGS, "kwargs": KWARGS, "headers": {"taskbridge": HEADERS}, "eta": RUN_AFTER},
    "typed": {"args": TYPED, "kwargs": {}, "expires": EXPIRES},
}
"""What is said to `send_task`, by the name of the recording."""


def write(url: str, case: str) -> bytes:
    """One job in an empty Redis database, by Celery's own call; the element of its list."""
    app = Celery("recorder", broker=url, set_as_current=False)
    said = {key: value for key, value in CASES[case].items() if key not in ("args", "kwargs")}
    app.send_task(
        "shop.receipt",
        tuple(CASES[case]["args"]),
        CASES[case]["kwargs"],
        task_id=JOB_ID,
        queue="mail",
        priority=3,
        ignore_result=True,
        **said,
    )
    app.close()
    return element(url)


def element(url: str) -> bytes:
    """What lies in the list of the queue, in the step that priority 0 has."""
    with Redis.from_url(url) as redis:
        (found,) = redis.lrange("mail\x06\x163", 0, -1)
    assert isinstance(found, bytes)
    return found


def comparable(written: bytes) -> dict[str, Any]:
    """The element without what differs between any two jobs, its body read as JSON.

    What is only shown to people is left out too: Celery's own form does not escape, and takes ten times as long.
    """
    message: dict[str, Any] = json.loads(written)
    message["body"] = json.loads(base64.b64decode(message["body"]))
    for name in ("origin", "argsrepr", "kwargsrepr"):
        del message["headers"][name]
    for name in ("delivery_tag", "reply_to", "expiration"):
        message["properties"].pop(name, None)
    return message


def load(case: str) -> bytes:
    """What the pinned version wrote."""
    return (GOLDEN / "celery-5.7.0" / f"{case}.json").read_bytes()


def main() -> None:
    folder = GOLDEN / f"celery-{version('celery')}"
    folder.mkdir(parents=True, exist_ok=True)
    with services.start("redis") as server:
        for case in CASES:
            (folder / f"{case}.json").write_bytes(write(server.fresh_url(), case))


if __name__ == "__main__":
    main()
