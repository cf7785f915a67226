"""One job into an idle worker, at jittered times: how long until it starts."""

from __future__ import annotations

import os
import random
import statistics
import time
from typing import TYPE_CHECKING

from taskbridge_compare.bench.row import Row
from taskbridge_compare.speed.statistics import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge_compare.bench.row import Verdict
    from taskbridge_compare.station import Station

SECTION = "One job into an idle worker, until it starts"
BUDGET = 50.0
"""Milliseconds."""

_WAKES = 9
_IDLE_SECONDS = 2.0
_PATIENCE_SECONDS = 20.0


def rows(stations: Sequence[Station]) -> Iterator[Row]:
    """All workers idle side by side, and one is woken at a time. The workers must run already."""
    chance = random.Random(5)  # noqa: S311 - jitter
    waits: dict[str, list[float]] = {station.driver.backend: [] for station in stations}
    gap = _IDLE_SECONDS / len(stations)
    for _ in range(_WAKES):
        for station in stations:
            time.sleep(gap * (0.8 + 0.8 * chance.random()))
            waits[station.driver.backend].append(_wake(station) * 1e3)
    is_busy = os.getloadavg()[0] > (os.cpu_count() or 1)
    for station in stations:
        own = waits[station.driver.backend]
        middle = statistics.median(own)
        yield Row(
            section=SECTION,
            subject=station.driver.backend,
            value=f"{middle:.0f} ms",
            target=f"<= {BUDGET:g} ms",
            verdict=verdict(own, is_busy=is_busy),
            durability=station.driver.durability,
            detail=f"median of {len(own)}; {min(own):.0f} to {max(own):.0f} ms",
            number=middle,
            samples=own,
        )


def verdict(milliseconds: Sequence[float], *, is_busy: bool) -> Verdict:
    """On a machine that others keep busy a late wake says nothing, as long as the fastest quarter was in time."""
    if statistics.median(milliseconds) <= BUDGET:
        return "pass"
    return "noisy" if is_busy and percentile(milliseconds, 25) <= BUDGET else "FAIL"


def _wake(station: Station) -> float:
    task = station.workload.of_role("short")
    key = station.key("wake")
    job = {"key": key, "arguments": dict(task.arguments)}
    request = {"verb": "schedule", "task": task.name, "job": job, "offsets": [0.0]}
    station.check(station.request(request))
    event = station.ledger.wait_for(
        lambda event: event.kind == "start" and event.key.startswith(key), _PATIENCE_SECONDS, what="the woken job"
    )
    return float(event.at - event.extra["intended_ns"] / 1e9)
