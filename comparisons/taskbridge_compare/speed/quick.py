"""The speed of `--quick`: on the stations that the experiments leave, all workers frozen but one."""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING

from taskbridge_compare.place import StationError
from taskbridge_compare.speed import anchor, counting, enqueue, worker
from taskbridge_compare.speed.number import Number, unmeasured
from taskbridge_compare.worker_tree import freeze, thaw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge_compare.servers import Servers
    from taskbridge_compare.station import Station

_SINGLES = enqueue.Size(case="enqueue_1", title="enqueue, a job", count=10, rounds=5, bulk=False)
_COUNTED = 10
_DRAIN_SECONDS = 20.0
# A slow engine on a busy machine gives its rate from fewer jobs, so that the others have their turn.
_PATIENCE_SECONDS = 4.0
_ENOUGH = 40


def measure_kept(stations: Sequence[Station], servers: Servers, tell: Callable[[Number], None]) -> None:
    """Raw write, enqueue and its commands, drain of what was enqueued, memory."""
    for station in stations:
        freeze(station.worker)
    for _, group in groupby(stations, key=lambda station: station.driver.backend):
        backend = list(group)
        try:
            _backend(backend, servers, tell)
        except StationError as error:
            for station in backend:
                driver = station.driver
                why = str(error)
                tell(unmeasured(driver.backend, driver.profile, _SINGLES.case, _SINGLES.title, why, text="failed"))


def _backend(stations: Sequence[Station], servers: Servers, tell: Callable[[Number], None]) -> None:
    broker = stations[0].driver.broker
    raw = anchor.measure(broker, servers.fresh_url(broker), 100)
    for station in stations:
        tell(anchor.number(station.driver, raw))
    calls = {station.driver.profile: _count(station) for station in stations}
    for number in enqueue.measure(stations, _SINGLES):
        tell(number)
    for station in stations:
        thaw(station.worker)
        _drain(station, calls[station.driver.profile], tell)
        tell(worker.memory(station))
        freeze(station.worker)


def _count(station: Station) -> dict[str, int] | None:
    enqueue.warm_up(station)
    before = counting.commands(station.driver.broker, station.url)
    enqueue.send(station, _COUNTED)
    after = counting.commands(station.driver.broker, station.url)
    return None if before is None or after is None else counting.difference(before, after)


def _drain(station: Station, sent: dict[str, int] | None, tell: Callable[[Number], None]) -> None:
    before = counting.commands(station.driver.broker, station.url)
    ends: list[float] = []
    begin = time.monotonic()
    waiting = station.sent
    while len(ends) < waiting and time.monotonic() < begin + _DRAIN_SECONDS:
        if len(ends) >= _ENOUGH and time.monotonic() > begin + _PATIENCE_SECONDS:
            break
        station.ledger.pause(0.05)
        ends = [event.at for event in station.ledger.events() if (event.kind, event.key) == ("end", enqueue.KEY)]
    after = counting.commands(station.driver.broker, station.url)
    if len(ends) < min(waiting, _ENOUGH):
        why = f"{len(ends)} of {waiting} jobs were run in {_DRAIN_SECONDS:g} s"
        driver = station.driver
        tell(unmeasured(driver.backend, driver.profile, "drain", worker.DRAIN_TITLE, why, text="failed"))
    else:
        tell(worker.rate(station, ends))
    worked = None if before is None or after is None else counting.difference(before, after)
    if worked is not None and len(ends) < waiting:  # what was half done is in the count
        why = f"{len(ends)} of {waiting} jobs were run in {_PATIENCE_SECONDS:g} s"
        driver = station.driver
        tell(unmeasured(driver.backend, driver.profile, "commands", worker.COMMANDS_TITLE, why, text="not drained"))
    else:
        tell(worker.commands(station, sent, _COUNTED, worked, waiting))
