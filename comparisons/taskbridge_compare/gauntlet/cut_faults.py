"""Connections are cut: a delivery never reaches the worker, or an enqueue never hears what became of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from taskbridge_compare.faults.cut_rules import BeforeReply, BeforeRequest, Delivery
from taskbridge_compare.gauntlet.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge_compare.faults.proxy import CuttingProxy
    from taskbridge_compare.gauntlet.drill import Drill
    from taskbridge_compare.gauntlet.jobs import Job

_AHEAD = 20
"""So many jobs behind the last that began is one that no worker has fetched yet."""
_LOOK_SECONDS = 0.02
_WAIT_SECONDS = 30.0
_ENQUEUES: tuple[tuple[Literal["before", "after"], int], ...] = (
    ("after", 1),
    ("before", 1),
    ("after", 2),
    ("before", 2),
    ("after", 3),
)
"""Where an enqueue is cut, in turn: before or after its n-th piece of bytes has reached the server."""


def _proxy(drill: Drill) -> CuttingProxy:
    assert drill.proxy is not None
    return drill.proxy


def _teller(drill: Drill, job: Job, number: int, **extra: object) -> Callable[[], None]:
    def tell() -> None:
        drill.write("cut", job.key, number=number, **extra)

    return tell


def _drive_delivery(drill: Drill) -> None:
    drill.enqueue(drill.jobs)
    drill.station.start_worker()
    hit = 0
    for number in range(2 * (drill.size.strikes + 1)):
        if hit == drill.size.strikes:
            return
        place = _wait_for_progress(drill, len(drill.jobs) * hit // (drill.size.strikes + 1))
        if place is None:
            return
        hit += _cut_delivery(drill, drill.jobs[place], number)


def _wait_for_progress(drill: Drill, done: int) -> int | None:
    """Wait until so many jobs are done; the place of one that nobody has fetched, or None."""
    until = time.monotonic() + drill.size.patience
    while len(drill.sight.done) < done or not drill.sight.begun:
        drill.sight.look()
        drill.keep_worker()
        drill.station.ledger.pause(_LOOK_SECONDS)
        if time.monotonic() > max(until, drill.sight.moved + drill.size.patience):
            return None
    last = max(place for place, job in enumerate(drill.jobs) if job.key in drill.sight.begun)
    place = max(done, last) + min(_AHEAD, len(drill.jobs) // 10)
    return place if place < len(drill.jobs) else None


def _cut_delivery(drill: Drill, job: Job, number: int) -> bool:
    native_id = drill.sight.confirmed[job.key]
    needles = [job.key, native_id, native_id.replace("-", "")]
    rule = Delivery(_teller(drill, job, number, way="delivery"), needles=needles)
    _proxy(drill).rule = rule
    until = time.monotonic() + _WAIT_SECONDS
    while not rule.struck.is_set() and job.key not in drill.sight.begun and time.monotonic() < until:
        drill.keep_worker()
        drill.station.ledger.pause(_LOOK_SECONDS)
        drill.sight.look()
    _proxy(drill).rule = None
    return rule.struck.is_set()


def _drive_enqueue(drill: Drill) -> None:
    drill.station.start_worker()
    strikes = drill.size.strikes
    apart = len(drill.jobs) // (strikes + 1)
    sent = hit = number = 0
    while sent < len(drill.jobs):
        ahead = drill.jobs[sent : max(sent, apart * (hit + 1))] if hit < strikes else drill.jobs[sent:]
        drill.enqueue(ahead)
        drill.keep_worker()
        sent += len(ahead)
        if hit < strikes and sent < len(drill.jobs):
            hit += _cut_enqueue(drill, drill.jobs[sent], number)
            number += 1
            sent += 1


def _cut_enqueue(drill: Drill, job: Job, number: int) -> bool:
    when, piece = _ENQUEUES[number % len(_ENQUEUES)]
    tell = _teller(drill, job, number, way="enqueue", when=when, piece=piece)
    rule = BeforeReply(tell, piece=piece) if when == "after" else BeforeRequest(tell, piece=piece)
    _proxy(drill).rule = rule
    try:
        drill.enqueue([job])
    finally:
        _proxy(drill).rule = None
    return rule.struck.is_set()


DELIVERY = Fault(name="delivery", title="delivery cut", drive=_drive_delivery, through_proxy="worker")
ENQUEUE = Fault(name="enqueue", title="enqueue cut", drive=_drive_enqueue, through_proxy="producer")
