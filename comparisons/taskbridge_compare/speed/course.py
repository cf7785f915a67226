"""All numbers of one backend: its profiles side by side, nothing else running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge_compare.ledger import NotSeen
from taskbridge_compare.place import StationError
from taskbridge_compare.speed import anchor, enqueue, worker
from taskbridge_compare.speed.number import Number, unmeasured
from taskbridge_compare.station import Refused, Station
from taskbridge_compare.worker_tree import freeze, thaw

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from taskbridge_compare.drivers import Driver
    from taskbridge_compare.servers import Servers
    from taskbridge_compare.workload import Workload

_LATENCY_RATE = 20.0
_SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much to measure; `latency` and `wakes` are numbers of jobs, 0 to leave it out."""

    single_rounds: int
    bulk_rounds: int
    drained: int
    latency: int
    wakes: int
    anchored: int


DEFAULT = Sizes(single_rounds=9, bulk_rounds=2, drained=120, latency=40, wakes=2, anchored=300)
FULL = Sizes(single_rounds=21, bulk_rounds=7, drained=2000, latency=600, wakes=10, anchored=2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedCourse:
    """One backend's speed, in all profiles that are given (the first is what ratios are to)."""

    drivers: Sequence[Driver]
    workload: Workload
    servers: Servers
    folder: Path
    sizes: Sizes
    stopping: threading.Event
    tell: Callable[[Number], None]

    def run(self) -> None:
        """Measure all of it; what fails is told as a number that says why."""
        self._enqueue()
        stations: list[Station] = []
        try:
            for driver in self.drivers:
                self._work(driver, stations)
            for station in stations:
                thaw(station.worker)
            for number in worker.idle_wake(stations, times=self.sizes.wakes, seed=_SEED) if self.sizes.wakes else ():
                self.tell(number)
        finally:
            for station in stations:
                station.close()

    def _station(self, driver: Driver, name: str) -> Station:
        return Station(
            driver,
            self.workload,
            folder=self.folder / f"{driver.backend}-{driver.profile}-speed-{name}",
            url=self.servers.fresh_url(driver.broker),
            slots=None,
            stopping=self.stopping,
        )

    def _enqueue(self) -> None:
        broker = self.drivers[0].broker
        raw = anchor.measure(broker, self.servers.fresh_url(broker), self.sizes.anchored)
        for driver in self.drivers:
            self.tell(anchor.number(driver, raw))
        sizes = [
            enqueue.Size(
                case="enqueue_1", title="enqueue, a job", count=30, rounds=self.sizes.single_rounds, bulk=False
            )
        ]
        if self.sizes.bulk_rounds:
            rounds = self.sizes.bulk_rounds
            sizes.append(
                enqueue.Size(case="enqueue_1000", title="of 1,000 at once, a job", count=1000, rounds=rounds, bulk=True)
            )
        stations: list[Station] = []
        try:
            for driver in self.drivers:
                try:
                    station = self._station(driver, "enqueue")
                    stations.append(station)
                    enqueue.warm_up(station)
                except (StationError, OSError) as error:
                    for size in sizes:
                        self._failed(driver, size.case, size.title, error)
                    stations = [one for one in stations if one.driver is not driver]
            for size in sizes if stations else ():
                for number in enqueue.measure(stations, size):
                    self.tell(number)
        finally:
            for station in stations:
                station.close()

    def _failed(self, driver: Driver, case: str, title: str, error: Exception) -> None:
        self.tell(unmeasured(driver.backend, driver.profile, case, title, str(error), text="failed"))

    def _work(self, driver: Driver, frozen: list[Station]) -> None:
        """A worker's numbers but its idle wake, for which its station joins the `frozen` ones."""
        left = {"drain": worker.DRAIN_TITLE, "startup": "start to first task", "memory": "memory (PSS)"}
        left["commands"] = worker.COMMANDS_TITLE
        if self.sizes.latency:
            left["latency"] = "latency p50 / p95 / p99"
        if self.sizes.wakes:
            left["idle_wake"] = worker.WAKE_TITLE
        station: Station | None = None
        try:
            station = self._station(driver, "worker")
            for number in worker.drain(station, self.sizes.drained):
                self._told(number, left)
            if self.sizes.latency:
                number = worker.latency(station, rate=_LATENCY_RATE, count=self.sizes.latency, seed=_SEED)
                self._told(number, left)
            freeze(station.worker)
            frozen.append(station)
        except (StationError, Refused, NotSeen, OSError, ValueError) as error:
            for case, title in left.items():
                self._failed(driver, case, title, error)
        finally:
            if station is not None and station not in frozen:
                station.close()

    def _told(self, number: Number, left: dict[str, str]) -> None:
        left.pop(number.case)
        self.tell(number)
