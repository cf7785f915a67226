"""Plain jobs worked off by TaskBridge's worker and by the engine's own late-ack profile, in turns."""

from __future__ import annotations

import contextlib
import statistics
from itertools import pairwise
from typing import TYPE_CHECKING

import psutil

from taskbridge_compare.bench.row import Row
from taskbridge_compare.place import StationError
from taskbridge_compare.speed import enqueue
from taskbridge_compare.speed.statistics import paired_ratio, ratios, resampled
from taskbridge_compare.worker_tree import freeze, thaw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge_compare.bench.row import Verdict
    from taskbridge_compare.ledger import Event
    from taskbridge_compare.station import Station

SECTION = "Jobs a second in the worker, against the engine's own late-ack profile"
TARGET = 0.95
"""Times as fast."""

_DRAIN_SECONDS = 1.0
_FEWEST, _MOST = 40, 4000
_FEWEST_PAIRS, _PAIRS = 3, 6
"""As many as say something: the first that is in no doubt ends it."""
_MOST_PAIRS = 30
"""Where six say too little: a machine that others share differs from itself by more than is asked."""
_CLEAR = 0.05
_PATIENCE_SECONDS = 60.0
_LOCK_TRIES = 5
_BETWEEN_TRIES = 0.3


def row(native: Station, bridged: Station) -> Row:
    """Both workers must run already; they idle while the other one works."""
    count = max(
        _FEWEST, min(_MOST, int(_DRAIN_SECONDS * min(Drain(station, _FEWEST).rate for station in (native, bridged))))
    )
    theirs: list[Drain] = []
    ours: list[Drain] = []
    for number in range(_MOST_PAIRS):
        for station, drains in ((native, theirs), (bridged, ours))[:: -1 if number % 2 else 1]:
            drains.append(Drain(station, count))
        if _is_enough(theirs, ours):
            break
    rates = [[drain.rate for drain in drains] for drains in (theirs, ours)]
    ratio = paired_ratio(rates[1], rates[0])
    low, high = same_again(rates[0])
    least, most = resampled(statistics.median, ratios(rates[1], rates[0]))
    work = paired_ratio([drain.work for drain in ours], [drain.work for drain in theirs])
    return Row(
        section=SECTION,
        subject=bridged.driver.backend,
        value=f"x{ratio:.2f}",
        target=f">= x{TARGET:g}",
        verdict=verdict(*rates),
        durability=bridged.driver.durability,
        detail=(
            f"{statistics.median(rates[1]):.0f}/s, natively {statistics.median(rates[0]):.0f}/s; {len(ours)} pairs of"
            f" {count} jobs; nine of ten resamplings of these lie from x{least:.2f} to x{most:.2f}; A/A x{low:.2f} to"
            f" x{high:.2f}; processor time of the worker x{work:.2f}"
        ),
        number=ratio,
        samples={"native": rates[0], "taskbridge": rates[1]},
    )


def verdict(theirs: Sequence[float], ours: Sequence[float]) -> Verdict:
    """Few pairs fail where each look at them says so, and no native drain differs as much from the one before; many
    where no resampling reaches the target."""
    paired = paired_ratio(ours, theirs)
    if paired >= TARGET:
        return "pass"
    if len(ours) > _PAIRS:
        return "FAIL" if resampled(statistics.median, ratios(ours, theirs))[1] < TARGET else "noisy"
    return "FAIL" if max(ours) / max(theirs) < TARGET and paired < same_again(theirs)[0] else "noisy"


def _is_enough(theirs: Sequence[Drain], ours: Sequence[Drain]) -> bool:
    found = ratios([drain.rate for drain in ours], [drain.rate for drain in theirs])
    is_clear = min(found) > TARGET + _CLEAR or max(found) < TARGET - _CLEAR
    if len(ours) == _PAIRS:
        return is_clear or statistics.median(found) >= TARGET
    return is_clear and _FEWEST_PAIRS <= len(ours) < _PAIRS


def same_again(rates: Sequence[float]) -> tuple[float, float]:
    """How far a native drain lies from the one before at most, either way."""
    widest = max(max(after / before, before / after) for before, after in pairwise(rates))
    return 1 / widest, widest


class Drain:
    """A backlog of no-ops, laid down while the worker stands still, and worked off."""

    def __init__(self, station: Station, count: int) -> None:
        key = station.key("drain")
        _halt(station)
        enqueue.send(station, count, bulk=True, key=key)
        before = _processor_seconds(station)
        thaw(station.worker)
        ends: list[float] = []

        def is_last(event: Event) -> bool:
            ends.extend([event.at] if (event.kind, event.key) == ("end", key) else [])
            return len(ends) == count

        station.ledger.wait_for(is_last, _PATIENCE_SECONDS, what=f"{count} jobs drained")
        self.work = (_processor_seconds(station) - before) / count
        """Processor seconds a job, of all processes of the worker."""
        self.rate = (count - 1) / (max(ends) - min(ends))
        """Jobs a second, from the first completion to the last."""


def _halt(station: Station) -> None:
    """Stop the worker at a moment when it holds no lock on the queue's file."""
    for _ in range(_LOCK_TRIES):
        freeze(station.worker)
        try:
            enqueue.send(station, 1, key="halted")
        except StationError:
            thaw(station.worker)
            station.ledger.pause(_BETWEEN_TRIES)
        else:
            return
    raise StationError(f"{station.driver.backend}: nothing can be enqueued while its worker stands still")


def _processor_seconds(station: Station) -> float:
    assert station.worker is not None
    seconds = 0.0
    for process in station.worker.tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += sum(process.cpu_times()[:4])  # its own, and of the children that it has waited for
    return seconds
