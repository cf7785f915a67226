"""What a worker does: start, drain a backlog, answer single jobs; and what it takes to sit there."""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from typing import TYPE_CHECKING

import psutil

from taskbridge_compare.place import StationError
from taskbridge_compare.speed import counting, enqueue
from taskbridge_compare.speed.number import Number, unmeasured
from taskbridge_compare.speed.statistics import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge_compare.ledger import Event
    from taskbridge_compare.station import Station

_DRAIN_SECONDS = 60.0
DRAIN_TITLE = "drain of no-ops"
COMMANDS_TITLE = "broker commands a job"
WAKE_TITLE = "idle wake"


def drain(station: Station, count: int) -> Iterator[Number]:
    """Start a worker on a backlog of no-ops: start to first task, drain rate, memory, commands."""
    before = counting.commands(station.driver.broker, station.url)
    enqueue.send(station, count)
    between = counting.commands(station.driver.broker, station.url)
    station.start_worker()
    done: list[Event] = []

    def enough(event: Event) -> bool:
        done.extend([event] if (event.kind, event.key) == ("end", enqueue.KEY) else [])
        return len(done) >= count

    station.ledger.wait_for(enough, _DRAIN_SECONDS, what=f"{count} jobs drained")
    after = counting.commands(station.driver.broker, station.url)
    yield rate(station, [event.at for event in done])
    yield _startup(station)
    yield memory(station)
    sent = None if before is None or between is None else counting.difference(before, between)
    worked = None if between is None or after is None else counting.difference(between, after)
    yield commands(station, sent, count, worked, count)


def rate(station: Station, ends: list[float]) -> Number:
    """Jobs a second, from the moments of their completion."""
    ends = sorted(ends)
    low, high = int(len(ends) * 0.1), int(len(ends) * 0.95)
    value = (high - low) / (ends[high - 1] - ends[low - 1])
    return Number(
        backend=station.driver.backend,
        profile=station.driver.profile,
        case="drain",
        title=DRAIN_TITLE,
        value=value,
        unit="jobs/s",
        text=f"{value:.0f}/s",
        detail=f"{len(ends)} jobs, between the 10th and 95th percentile of completion; one process",
        samples=[round(end - ends[0], 6) for end in ends],
    )


def _startup(station: Station) -> Number:
    events = station.ledger.events()
    begun = next(event.at for event in events if event.kind == "worker")
    first = next(event.at for event in events if event.kind == "start") - begun
    return Number(
        backend=station.driver.backend,
        profile=station.driver.profile,
        case="startup",
        title="start to first task",
        value=first,
        unit="s",
        text=f"{first:.2f} s",
        detail="from starting the command to the first line of a waiting job",
        samples=[first],
    )


def commands(
    station: Station, sent: dict[str, int] | None, jobs: int, worked: dict[str, int] | None, ran: int
) -> Number:
    """Broker commands of `jobs` enqueues and of a worker that ran `ran` jobs."""
    backend, profile = station.driver.backend, station.driver.profile
    if sent is None or worked is None:
        why = {"sqlite": "no server to ask", "amqp": "RabbitMQ does not count them", "postgres": "not counted"}
        return unmeasured(backend, profile, "commands", COMMANDS_TITLE, why[station.driver.broker])
    per_job = sum(sent.values()) / jobs, sum(worked.values()) / ran
    return Number(
        backend=backend,
        profile=profile,
        case="commands",
        title=COMMANDS_TITLE,
        value=per_job[0],
        unit="commands",
        text=f"{per_job[0]:.1f} + {per_job[1]:.1f}",
        detail=f"enqueue: {counting.shown(sent, jobs)}; worker, its polls included: {counting.shown(worked, ran)}",
        samples={"enqueue": sent, "jobs": jobs, "worker": worked, "ran": ran},
    )


def memory(station: Station) -> Number:
    """What all processes of the worker hold."""
    assert station.worker is not None
    sizes = []
    for process in station.worker.tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            info = process.memory_full_info()
            sizes.append({"rss": info.rss, "pss": getattr(info, "pss", info.uss)})
    pss, rss = (sum(size[kind] for size in sizes) / 1e6 for kind in ("pss", "rss"))
    return Number(
        backend=station.driver.backend,
        profile=station.driver.profile,
        case="memory",
        title="memory (PSS)",
        value=pss,
        unit="MB",
        text=f"{pss:.0f} MB",
        detail=f"after the drain; RSS {rss:.0f} MB, {len(sizes)} processes",
        samples=sizes,
    )


def latency(station: Station, *, rate: float, count: int, seed: int) -> Number:
    """Open loop: jobs are sent at times that were fixed before; the wait counts from the intended time."""
    task = station.workload.of_role("short")
    chance = random.Random(seed)  # noqa: S311 - an arrival schedule, the same for each profile
    offsets, at = [], 0.0
    for _ in range(count):
        at += chance.expovariate(rate)
        offsets.append(at)
    key = station.key("speed.latency")
    job = {"key": key, "arguments": dict(task.arguments)}
    request = {"verb": "schedule", "task": task.name, "job": job, "offsets": offsets}
    late = station.ask(request, seconds=offsets[-1] + 60)["late"]
    samples = _waits(station, key, count)
    p50, p95, p99 = (percentile(samples, rank) * 1e3 for rank in (50, 95, 99))
    return Number(
        backend=station.driver.backend,
        profile=station.driver.profile,
        case="latency",
        title="latency p50 / p95 / p99",
        value=p50,
        unit="ms",
        text=f"{p50:.1f} / {p95:.1f} / {p99:.1f} ms",
        detail=f"open loop, Poisson, {rate:g}/s, {count} jobs; largest delay of the sender {max(late) * 1e3:.1f} ms",
        samples=samples,
    )


def idle_wake(stations: Sequence[Station], *, times: int, seed: int) -> Iterator[Number]:
    """One job after seconds of nothing, at jittered times, so that no poll is met by rhythm; the stations in turns."""
    chance = random.Random(seed)  # noqa: S311 - jitter
    samples: dict[str, list[float]] = {station.driver.profile: [] for station in stations}
    for _ in range(times):
        for number, station in enumerate(stations):
            # The later ones have been idle since the round before, like the first.
            station.ledger.pause((0.0 if number else 2.0) + chance.random())
            samples[station.driver.profile] += _wake(station)
    for station in stations:
        yield _woken(station, samples[station.driver.profile])


def _wake(station: Station) -> list[float]:
    task = station.workload.of_role("short")
    key = station.key("speed.wake")
    job = {"key": key, "arguments": dict(task.arguments)}
    try:
        station.ask({"verb": "schedule", "task": task.name, "job": job, "offsets": [0.0]})
    except StationError:  # no sample is what says so
        return []
    return _waits(station, key, 1)


def _woken(station: Station, samples: list[float]) -> Number:
    backend, profile = station.driver.backend, station.driver.profile
    if not samples:
        return unmeasured(backend, profile, "idle_wake", WAKE_TITLE, "no job was ever run", text="failed")
    middle = statistics.median(samples) * 1e3
    return Number(
        backend=backend,
        profile=profile,
        case="idle_wake",
        title=WAKE_TITLE,
        value=middle,
        unit="ms",
        text=f"{middle:.0f} ms",
        detail=f"median of {len(samples)} jobs, each after 2 to 4 s of nothing; largest {max(samples) * 1e3:.0f} ms",
        samples=samples,
    )


def _waits(station: Station, key: str, count: int) -> list[float]:
    until = time.monotonic() + _DRAIN_SECONDS
    while True:
        found = [
            event.at - event.extra["intended_ns"] / 1e9
            for event in station.ledger.events()
            if event.kind == "start" and event.key.startswith(key)
        ]
        if len(found) >= count or time.monotonic() > until:
            return found
        station.ledger.pause(0.05)
