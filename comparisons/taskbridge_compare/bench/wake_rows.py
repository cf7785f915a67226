"""One job into an idle worker, at jittered times: how long until it starts."""

from __future__ import annotations

import os
import random
import statistics
import time
from typing import TYPE_CHECKING, Final

from taskbridge_compare.bench.row import Row
from taskbridge_compare.speed.statistics import percentile, resampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskbridge_compare.bench.row import Verdict
    from taskbridge_compare.drivers import Driver
    from taskbridge_compare.station import Station

SECTION = "One job into an idle worker, until it starts"
BESIDE_NATIVE = "The same, against the engine's own late-ack profile that polls as often"
BUDGET = 50.0
"""Milliseconds."""
TARGET = 0.95
"""Times as soon."""

_WAKES: Final = (9, 27, 108)
"""As many more for those that the ones before say too little of: a worker that polls takes anything up to its
interval, and the medians of 36 such differ by a quarter once in twenty times."""
_IDLE_SECONDS = 2.0
_PATIENCE_SECONDS = 20.0


def rows(pairs: Sequence[tuple[Station, Station]]) -> Iterator[Row]:
    """All workers, the engines' own and TaskBridge's, idle side by side, and one is woken at a time.

    They must run already.
    """
    waits: dict[Station, list[float]] = {station: [] for pair in pairs for station in pair}
    unclear = list(pairs)
    for times in _WAKES:
        _wake_each({station: waits[station] for pair in unclear for station in pair}, times=times)
        unclear = [pair for pair in unclear if _ratio(*(waits[station] for station in pair)) < TARGET]
    is_busy = os.getloadavg()[0] > (os.cpu_count() or 1)
    for _, bridged in pairs:
        own = waits[bridged]
        middle = statistics.median(own)
        yield Row(
            section=SECTION,
            subject=bridged.driver.backend,
            value=f"{middle:.0f} ms",
            target=f"<= {BUDGET:g} ms",
            verdict=verdict(own, is_busy=is_busy),
            durability=bridged.driver.durability,
            detail=f"median of {len(own)}; {min(own):.0f} to {max(own):.0f} ms",
            number=middle,
            samples=own,
        )
    for native, bridged in pairs:
        yield beside_native(bridged.driver, waits[native], waits[bridged], is_busy=is_busy)


def beside_native(driver: Driver, theirs: Sequence[float], ours: Sequence[float], *, is_busy: bool) -> Row:
    """Our wakes against theirs in the same run, in milliseconds. A busy machine delays by more than they take."""
    ratio = _ratio(theirs, ours)
    low, high = resampled(_ratio, theirs, ours)
    return Row(
        section=BESIDE_NATIVE,
        subject=driver.backend,
        value=f"x{ratio:.2f}",
        target=f">= x{TARGET:g}",
        verdict=_beside(ratio, high, is_busy=is_busy),
        durability=driver.durability,
        detail=(
            f"medians of {len(ours)}: {statistics.median(ours):.1f} ms, natively {statistics.median(theirs):.1f} ms;"
            f" nine of ten resamplings of these lie from x{low:.2f} to x{high:.2f}"
        ),
        number=ratio,
        samples={"native": list(theirs), "taskbridge": list(ours)},
    )


def _beside(ratio: float, high: float, *, is_busy: bool) -> Verdict:
    if ratio >= TARGET:
        return "pass"
    return "noisy" if high >= TARGET or is_busy else "FAIL"


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Times as soon as theirs."""
    return statistics.median(theirs) / statistics.median(ours)


def verdict(milliseconds: Sequence[float], *, is_busy: bool) -> Verdict:
    """On a machine that others keep busy a late wake says nothing, as long as the fastest quarter was in time."""
    if statistics.median(milliseconds) <= BUDGET:
        return "pass"
    return "noisy" if is_busy and percentile(milliseconds, 25) <= BUDGET else "FAIL"


def _wake_each(waits: Mapping[Station, list[float]], *, times: int) -> None:
    chance = random.Random(5)  # noqa: S311 - jitter
    for _ in range(times):
        for station, found in waits.items():
            time.sleep(_IDLE_SECONDS / len(waits) * (0.8 + 0.8 * chance.random()))
            found.append(_wake(station) * 1e3)


def _wake(station: Station) -> float:
    task = station.workload.of_role("short")
    key = station.key("wake")
    job = {"key": key, "arguments": dict(task.arguments)}
    request = {"verb": "schedule", "task": task.name, "job": job, "offsets": [0.0]}
    station.ask(request)
    event = station.ledger.wait_for(
        lambda event: event.kind == "start" and event.key.startswith(key), _PATIENCE_SECONDS, what="the woken job"
    )
    return float(event.at - event.extra["intended_ns"] / 1e9)
