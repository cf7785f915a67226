"""Enqueuing one and a thousand, natively and through TaskBridge, in turns."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from taskbridge_compare.bench.row import Row
from taskbridge_compare.speed import enqueue
from taskbridge_compare.speed.statistics import paired_ratio, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge_compare.bench.row import Verdict
    from taskbridge_compare.station import Station

ONE = "One enqueue against the native call, of equal durability"
MANY = "enqueue_many(1000) against a loop of native calls"
BULK_TARGETS = {
    "celery+redis": 2.5,
    "dramatiq+redis": 4.0,
    "rq+redis": 4.5,
    "huey+redis": 5.0,
    "huey+sqlite": 12.0,
    "django+db-sqlite": 5.0,
    "django+db-postgres": 7.0,
    "django+rq": 15.0,
}
"""Times as fast, a job; RabbitMQ has no target."""
SINGLE_TARGET = 1.02
"""Times as slow, where the same code against itself shows no difference."""

_CHUNK = 10
_ROUNDS = 25
_BULK = 1000
_BULK_LOOP = 50
_BULK_ROUNDS = 3


def one(native: Station, bridged: Station) -> Row:
    """Interleaved: native again (A), native (A), TaskBridge (B).

    The band is where four of five ratios of the same code to itself lie. It fails only above that.
    """
    again, theirs, ours = [], [], []
    for _ in range(_ROUNDS):
        again.append(enqueue.send(native, _CHUNK) / _CHUNK * 1e6)
        theirs.append(enqueue.send(native, _CHUNK) / _CHUNK * 1e6)
        ours.append(enqueue.send(bridged, _CHUNK) / _CHUNK * 1e6)
    ratio = paired_ratio(ours, theirs)
    same = [a / b for a, b in zip(again, theirs, strict=True)]
    low, high = percentile(same, 10), percentile(same, 90)
    return Row(
        section=ONE,
        subject=bridged.driver.backend,
        value=f"x{ratio:.2f}",
        target=f"<= x{max(high, SINGLE_TARGET):.2f}",
        verdict="pass" if ratio <= max(high, SINGLE_TARGET) else "FAIL",
        durability=bridged.driver.durability,
        detail=(
            f"{statistics.median(ours):.0f} us, natively {statistics.median(theirs):.0f} us;"
            f" A/A x{low:.2f} to x{high:.2f}"
        ),
        number=ratio,
        samples={"native_again": again, "native": theirs, "taskbridge": ours},
    )


def many(native: Station, bridged: Station) -> Row:
    """A thousand at once in turns with a loop of native calls; microseconds a job."""
    theirs, ours = [], []
    for _ in range(_BULK_ROUNDS):
        theirs.append(enqueue.send(native, _BULK_LOOP) / _BULK_LOOP * 1e6)
        ours.append(enqueue.send(bridged, _BULK, bulk=True) / _BULK * 1e6)
    paired = 1 / paired_ratio(ours, theirs)
    fastest = min(theirs) / min(ours)
    target = BULK_TARGETS.get(bridged.driver.backend)
    return Row(
        section=MANY,
        subject=bridged.driver.backend,
        value=f"{paired:.1f} times as fast",
        target=f">= {target:g}" if target else "none set",
        verdict=verdict(target, paired, fastest),
        durability=bridged.driver.durability,
        detail=(
            f"{statistics.median(ours):.0f} us a job, natively {statistics.median(theirs):.0f} us;"
            f" fastest against fastest {fastest:.1f}"
        ),
        number=paired,
        samples={"native": theirs, "taskbridge": ours},
    )


def verdict(target: float | None, paired: float, fastest: float) -> Verdict:
    """Two ways to look at the same rounds: where they disagree, this run says nothing."""
    if target is None or min(paired, fastest) >= target:
        return "pass"
    return "FAIL" if max(paired, fastest) < target else "noisy"


def rows(native: Station, bridged: Station) -> Iterator[Row]:
    """Both, after a few uncounted jobs."""
    for station in (native, bridged):
        enqueue.warm_up(station)
    yield one(native, bridged)
    yield many(native, bridged)
