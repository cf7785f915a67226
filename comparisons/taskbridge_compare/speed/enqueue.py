"""Enqueue, native and TaskBridge in turns: microseconds, a paired ratio, and the same code against itself beside it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge_compare.speed.number import Number
from taskbridge_compare.speed.statistics import band, is_noisy, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge_compare.station import Station

KEY = "speed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much to measure: `count` jobs a chunk, `rounds` chunks of each side."""

    case: str
    title: str
    count: int
    rounds: int
    bulk: bool


def measure(stations: Sequence[Station], size: Size) -> list[Number]:
    """Each round is: the first again (A), then every station in turn; so each ratio has its own A/A beside it."""
    first = stations[0]
    again: list[float] = []
    seconds: dict[str, list[float]] = {station.driver.profile: [] for station in stations}
    for _ in range(size.rounds):
        again.append(send(first, size.count, bulk=size.bulk))
        for station in stations:
            seconds[station.driver.profile].append(send(station, size.count, bulk=size.bulk))
    numbers = []
    for station in stations:
        profile = station.driver.profile
        own = seconds[profile]
        microseconds = statistics.median(own) / size.count * 1e6
        text = f"{microseconds:.0f} µs"
        low, high = band(again, seconds[first.driver.profile])
        detail = f"median of {size.rounds} chunks of {size.count}; A/A band x{low:.2f} to x{high:.2f}"
        if station.driver.durability != first.driver.durability:
            detail = f"no ratio to native, whose durability is another ({first.driver.durability}); {detail}"
        elif station is not first:
            ratio = paired_ratio(own, seconds[first.driver.profile])
            text += f", x{ratio:.2f} [{low:.2f} to {high:.2f}]"
            detail = f"paired ratio to native x{ratio:.3f}; {detail}"
        numbers.append(
            Number(
                backend=station.driver.backend,
                profile=profile,
                case=size.case,
                title=size.title,
                value=microseconds,
                unit="us",
                text=text,
                detail=detail,
                noisy=is_noisy(own),
                samples={"seconds": own, "again": again, "count": size.count},
            )
        )
    return numbers


def warm_up(station: Station) -> None:
    """A few uncounted jobs, alone and at once. Raises StationError if the application does not take them."""
    send(station, 10)
    send(station, 10, bulk=True)


def send(station: Station, count: int, *, bulk: bool = False, key: str = KEY) -> float:
    """Enqueue `count` no-ops; the producer's seconds for it."""
    task = station.workload.of_role("short")
    job = {"key": key, "arguments": dict(task.arguments)}
    request = {"verb": "measure", "task": task.name, "job": job, "count": count, "rounds": 1, "bulk": bulk}
    reply = station.ask(request, seconds=120)
    station.sent += count
    return float(reply["seconds"][0])
