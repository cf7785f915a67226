"""How fast jobs that have waited in the store are handed over, with nothing else waiting and with 100,000 others."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from taskbridge import configure
from taskbridge.identity import new_ids
from taskbridge.message import Headers, Message
from taskbridge.router import router
from taskbridge.scheduler.release import Release
from taskbridge_compare.bench.row import Row, not_run
from taskbridge_compare.speed.statistics import paired_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge_compare.bench.row import Verdict
    from taskbridge_compare.drivers import Broker
    from taskbridge_compare.servers import Servers

BROKERS: Final[tuple[Broker, ...]] = ("redis",)
"""The servers that these rows need."""
SECTION: Final = "From the store to Redis, long delays that are due"
TARGET: Final = 10_000
"""Jobs a second, on an engine that takes twice as many from `enqueue_many`'s own path."""
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
        alone.append(_rate(store))
        begin = time.perf_counter()
        messages = _messages(_JOBS, timedelta(seconds=-1))
        for start in range(0, _JOBS, _CHUNK):
            router.backend().enqueue(messages[start : start + _CHUNK])
        direct.append(_JOBS / (time.perf_counter() - begin))
    for start in range(0, _OTHERS, _JOBS):
        store.hold("default", _messages(_JOBS, timedelta(days=1, seconds=start)))
    beside += [_rate(store) for _ in range(_ROUNDS)]
    fastest, flat = max(alone), max(beside) / max(alone)
    # An engine that takes fewer a second than the target from anybody is no measure of the scheduler.
    target = TARGET if max(direct) > 2 * TARGET else None
    return Row(
        section=SECTION,
        subject=f"{engine}+redis",
        value=f"{fastest:,.0f} a second",
        target=f">= {target:,}" if target else "none set",
        verdict=_verdict(fastest, flat, target),
        detail=(
            f"x{flat:.2f} with {_OTHERS:,} others waiting; x{paired_ratio(alone, direct):.2f} of the engine's enqueue "
            f"in the same portions, {max(direct):,.0f} a second"
        ),
        number=fastest,
        samples={"alone": alone, "beside_others": beside, "enqueue": direct},
    )


def _verdict(fastest: float, flat: float, target: int | None) -> Verdict:
    if target is not None and fastest < target:
        return "FAIL"
    return "pass" if flat >= FLAT else "noisy"


def _rate(store: Any) -> float:
    store.hold("default", _messages(_JOBS, timedelta(seconds=-1)))
    release = Release("default", store)
    begin = time.perf_counter()
    while (left := store.until_due("default")) is not None and left <= timedelta(0):
        release.beat()
    return _JOBS / (time.perf_counter() - begin)


def _messages(count: int, delay: timedelta) -> list[Message]:
    now = datetime.now(UTC)
    headers = Headers(enqueued_at=now)
    return [
        Message(job_id, "shop.told", [42, "ann@example.org"], {}, run_after=now + delay, headers=headers)
        for job_id in new_ids(count)
    ]
