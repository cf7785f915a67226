"""How fast jobs that have waited in the store are handed over, with nothing else waiting and with 100,000 others."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskbridge import configure
from taskbridge.identity import new_ids
from taskbridge.message import Headers, Message
from taskbridge.router import router
from taskbridge.scheduler.release import Release
from taskbridge_compare.bench.busy import cheapest, timed, verdict
from taskbridge_compare.bench.row import Row, not_run
from taskbridge_compare.speed.statistics import paired_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge_compare.drivers import Broker
    from taskbridge_compare.servers import Servers

BROKERS: Final[tuple[Broker, ...]] = ("redis",)
"""The servers that these rows need."""
SECTION: Final = "From the store to Redis, long delays that are due"
TARGET: Final = 10_000
"""Jobs a second."""
FLAT: Final = 0.8
"""Of the rate with nothing else waiting, with many others."""

_JOBS: Final = 10_000
_OTHERS: Final = 100_000
_ROUNDS: Final = 3
_CHUNK: Final = 1_000
_ENGINES: Final = ("huey", "dramatiq", "rq", "celery")


def rows(servers: Servers) -> Iterator[Row]:
    """One for each engine."""
    try:
        for engine in _ENGINES:
            if "redis" in servers.missing:
                yield not_run(SECTION, engine, servers.missing["redis"])
            else:
                yield _released(engine, servers.fresh_url("redis"))
    finally:
        router.configure(None)


def _released(engine: str, url: str) -> Row:
    configure(f"{engine}+{url}")
    store: Any = router.store()
    alone, beside, direct = [], [], []
    for _ in range(_ROUNDS):
        store.hold("default", _messages(_JOBS, timedelta(seconds=-1)))
        alone.append(timed(_JOBS, url, partial(_release, store)))
        direct.append(timed(_JOBS, url, partial(_enqueue, _messages(_JOBS, timedelta(seconds=-1)))))
    for start in range(0, _OTHERS, _JOBS):
        store.hold("default", _messages(_JOBS, timedelta(days=1, seconds=start)))
    for _ in range(_ROUNDS):
        store.hold("default", _messages(_JOBS, timedelta(seconds=-1)))
        beside.append(timed(_JOBS, url, partial(_release, store)))
    rates, others = [each.rate for each in alone], [each.rate for each in direct]
    flat = cheapest(beside).unhindered / cheapest(alone).unhindered
    reached = verdict(alone, TARGET)
    return Row(
        section=SECTION,
        subject=f"{engine}+redis",
        value=f"{max(rates):,.0f} a second",
        target=f">= {TARGET:,}",
        verdict=reached if flat >= FLAT or reached == "FAIL" else "noisy",
        detail=(
            f"{cheapest(alone).told()}; x{flat:.2f} of that with {_OTHERS:,} others waiting; "
            f"x{paired_ratio(rates, others):.2f} of the engine's enqueue in the same portions, "
            f"{max(others):,.0f} a second"
        ),
        number=max(rates),
        samples={
            name: list(map(asdict, rounds))
            for name, rounds in (("alone", alone), ("beside_others", beside), ("enqueue", direct))
        },
    )


def _release(store: Any) -> None:
    release = Release("default", store)
    while (left := store.until_due("default")) is not None and left <= timedelta(0):
        release.beat()


def _enqueue(messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), _CHUNK):
        router.backend().enqueue(messages[start : start + _CHUNK])


def _messages(count: int, delay: timedelta) -> list[Message]:
    now = datetime.now(UTC)
    headers = Headers(enqueued_at=now)
    return [
        Message(job_id, "shop.told", [42, "ann@example.org"], {}, run_after=now + delay, headers=headers)
        for job_id in new_ids(count)
    ]
