"""Runs experiments: semantics side by side on many stations, speed afterwards and alone."""

from __future__ import annotations

import resource
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import psutil

from taskbridge.process import GuardedFolder
from taskbridge_compare.drivers import unavailable, without_adapter
from taskbridge_compare.results import Result, machine, now, versions
from taskbridge_compare.semantics import Semantics
from taskbridge_compare.servers import Servers
from taskbridge_compare.speed.course import DEFAULT, FULL, SpeedCourse
from taskbridge_compare.speed.quick import measure_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from taskbridge_compare.checkers import Verdict
    from taskbridge_compare.drivers import Broker, Driver
    from taskbridge_compare.experiments import Experiment
    from taskbridge_compare.speed.number import Number
    from taskbridge_compare.station import Station
    from taskbridge_compare.workload import Workload

# A station spends its time watching, not computing; what limits how many there are at once is memory.
_STATION_BYTES = 250_000_000
_FEWEST_STATIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. `window` is the seconds that each cell watches."""

    drivers: Sequence[Driver]
    workload: Workload
    window: float
    command: str
    mode: Literal["quick", "default", "full"]
    experiments: frozenset[str] | None = None
    """Only these, if not None."""
    speed: bool = True
    bridged: bool = True
    """True if TaskBridge's own column is asked for."""


@dataclass(slots=True)
class Run:
    """One run of a plan. `tell` gets each new cell and each number as it is known."""

    plan: Plan
    tell: Callable[[str, dict[str, Any]], None]
    result: Result = field(default_factory=Result)
    stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _drivers: list[Driver] = field(default_factory=list)
    """What can be run, in the order of the report."""

    def execute(self) -> Result:
        """Run all of it. Ctrl-C ends every process and removes every folder before it passes on."""
        begin = time.monotonic()
        started = now()
        with GuardedFolder(prefix="taskbridge-compare-") as folder:
            servers = Servers(folder.path)
            try:
                self._describe(started)
                kept = self._semantics(servers, folder.path)
                self.result.header["brokers"] = servers.described()
                try:
                    if kept:
                        measure_kept(kept, servers, self._number)
                    elif self.plan.speed and self._drivers:
                        self._speed(self._drivers, servers, folder.path)
                finally:
                    _close(kept)
            finally:
                self.stopping.set()
                servers.stop()
        self.result.header["seconds"] = round(time.monotonic() - begin, 1)
        self.result.header["processor_seconds"] = {
            "comparison": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 1),
            "engines": round(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]), 1),
        }
        self.result.header["finished"] = now()
        return self.result

    def _runnable(self, broker: Broker, servers: Servers) -> list[Driver]:
        """The rows on this broker that can be run, which are known as rows from now on."""
        runnable = []
        for driver in self.plan.drivers:
            if driver.broker != broker:
                continue
            if reason := unavailable(driver) or servers.missing.get(broker, ""):
                self._not_run(driver.backend, driver.profile, reason)
            else:
                runnable.append(driver)
        if self.plan.bridged:
            for backend in without_adapter(runnable):
                self._not_run(backend, "taskbridge", "this version of TaskBridge has no adapter for it")
        self._drivers = [driver for driver in self.plan.drivers if driver in runnable or driver in self._drivers]
        self.result.rows[:] = map(self._row, self._drivers)
        return runnable

    def _not_run(self, backend: str, profile: str, reason: str) -> None:
        entry = {"backend": backend, "profile": profile, "reason": reason}
        self.result.not_run.append(entry)
        self.tell("not_run", entry)

    def _describe(self, started: str) -> None:
        self.result.header |= {
            "started": started,
            "command": self.plan.command,
            "mode": self.plan.mode,
            "window_seconds": self.plan.window,
            "workload": {"name": self.plan.workload.name, "tasks": [task.name for task in self.plan.workload.tasks]},
            "machine": machine(),
        }

    def _row(self, driver: Driver) -> dict[str, Any]:
        example = "sqlite:///queue.db" if driver.broker == "sqlite" else f"{driver.broker}://127.0.0.1"
        return {
            "backend": driver.backend,
            "profile": driver.profile,
            "durability": driver.durability,
            "versions": versions(driver.distributions),
            "application": driver.application(self.plan.workload, example, slots=1).printed,
        }

    # Semantics.

    def _semantics(self, servers: Servers, folder: Path) -> list[Station]:
        """All rows side by side, each from when its broker answers.

        Returns the stations that the speed stage goes on with, in the order of the rows.
        """
        semantics = Semantics(
            workload=self.plan.workload,
            servers=servers,
            folder=folder,
            window=self.plan.window,
            stopping=self.stopping,
            record=self._cell,
        )
        keep = self.plan.mode == "quick" and self.plan.speed
        fitting = psutil.virtual_memory().available // _STATION_BYTES
        pool = ThreadPoolExecutor(max_workers=max(_FEWEST_STATIONS, fitting))
        futures: dict[tuple[str, str], Future[Station | None]] = {}
        try:
            for broker in servers.as_they_answer(driver.broker for driver in self.plan.drivers):
                for driver in self._runnable(broker, servers):
                    future = pool.submit(semantics.run, driver, self.plan.experiments, keep=keep)
                    futures[driver.backend, driver.profile] = future
            left = set(futures.values())
            while left:
                done, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            self.stopping.set()
            pool.shutdown(wait=True, cancel_futures=True)
            _close(station for station in map(_outcome, futures.values()) if station is not None)
            raise
        pool.shutdown()
        stations = [_outcome(futures[driver.backend, driver.profile]) for driver in self._drivers]
        return [station for station in stations if station is not None]

    def _cell(
        self, driver: Driver, experiment: Experiment, verdict: Verdict, raw: list[dict[str, Any]], **more: Any
    ) -> None:
        reference = f"{driver.backend}/{driver.profile}/{experiment.name}"
        cell = {
            "backend": driver.backend,
            "profile": driver.profile,
            "experiment": experiment.name,
            "verdict": verdict.plain(),
            "events": reference,
            **more,
        }
        with self._lock:
            self.result.events[reference] = raw
            self.result.cells.append(cell)
            self.tell("cell", cell)

    # Speed.

    def _speed(self, drivers: Sequence[Driver], servers: Servers, folder: Path) -> None:
        sizes = FULL if self.plan.mode == "full" else DEFAULT
        for backend in dict.fromkeys(driver.backend for driver in drivers):
            course = SpeedCourse(
                drivers=[driver for driver in drivers if driver.backend == backend],
                workload=self.plan.workload,
                servers=servers,
                folder=folder,
                sizes=sizes,
                stopping=self.stopping,
                tell=self._number,
            )
            course.run()

    def _number(self, number: Number) -> None:
        with self._lock:
            self.result.speed.append(number.plain())
            self.result.samples[number.reference] = number.samples
            self.tell("number", number.plain())


def _outcome(future: Future[Station | None]) -> Station | None:
    """The station that a course kept; None if it was cancelled, failed or kept none."""
    return None if future.cancelled() or future.exception() is not None else future.result()


def _close(stations: Iterable[Station]) -> None:
    for station in stations:
        station.close()
