"""Runs experiments: semantics side by side on many stations, speed afterwards and alone."""

from __future__ import annotations

import os
import resource
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from taskbridge.process import GuardedFolder
from taskbridge_compare.drivers import unavailable, without_adapter
from taskbridge_compare.results import Result, machine, now, versions
from taskbridge_compare.semantics import SEPARATE, TOGETHER, Semantics
from taskbridge_compare.servers import Servers
from taskbridge_compare.speed.course import DEFAULT, FULL, SpeedCourse
from taskbridge_compare.speed.quick import measure_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from taskbridge_compare.checkers import Verdict
    from taskbridge_compare.drivers import Driver
    from taskbridge_compare.experiments import Experiment
    from taskbridge_compare.speed.number import Number
    from taskbridge_compare.station import Station
    from taskbridge_compare.workload import Workload

# Stations spend their time watching, not computing: several to a processor.
_STATIONS_PER_PROCESSOR = 8


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

    def execute(self) -> Result:
        """Run all of it. Ctrl-C ends every process and removes every folder before it passes on."""
        begin = time.monotonic()
        started = now()
        with GuardedFolder(prefix="taskbridge-compare-") as folder:
            servers = Servers(folder.path)
            try:
                servers.start(driver.broker for driver in self.plan.drivers)
                drivers = self._runnable(servers)
                self._describe(started, servers)
                self._rows(drivers)
                kept = self._semantics(drivers, servers, folder.path)
                try:
                    if kept:
                        measure_kept(kept, servers, self._number)
                    elif self.plan.speed and drivers:
                        self._speed(drivers, servers, folder.path)
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

    def _runnable(self, servers: Servers) -> list[Driver]:
        drivers = []
        for driver in self.plan.drivers:
            if reason := unavailable(driver) or servers.missing.get(driver.broker, ""):
                self._not_run(driver.backend, driver.profile, reason)
            else:
                drivers.append(driver)
        if self.plan.bridged:
            for backend in without_adapter(drivers):
                self._not_run(backend, "taskbridge", "this version of TaskBridge has no adapter for it")
        return drivers

    def _not_run(self, backend: str, profile: str, reason: str) -> None:
        entry = {"backend": backend, "profile": profile, "reason": reason}
        self.result.not_run.append(entry)
        self.tell("not_run", entry)

    def _describe(self, started: str, servers: Servers) -> None:
        self.result.header |= {
            "started": started,
            "command": self.plan.command,
            "mode": self.plan.mode,
            "window_seconds": self.plan.window,
            "workload": {"name": self.plan.workload.name, "tasks": [task.name for task in self.plan.workload.tasks]},
            "machine": machine(),
            "brokers": servers.described(),
        }

    def _rows(self, drivers: Sequence[Driver]) -> None:
        for driver in drivers:
            example = "sqlite:///queue.db" if driver.broker == "sqlite" else f"{driver.broker}://127.0.0.1"
            self.result.rows.append(
                {
                    "backend": driver.backend,
                    "profile": driver.profile,
                    "durability": driver.durability,
                    "versions": versions(driver.distributions),
                    "application": driver.application(self.plan.workload, example, slots=1).printed,
                }
            )

    # Semantics.

    def _semantics(self, drivers: Sequence[Driver], servers: Servers, folder: Path) -> list[Station]:
        """All courses side by side. The stations that the speed stage goes on with, in the order of the rows."""
        semantics = Semantics(
            workload=self.plan.workload,
            servers=servers,
            folder=folder,
            window=self.plan.window,
            stopping=self.stopping,
            record=self._cell,
        )
        keep = self.plan.mode == "quick" and self.plan.speed
        courses = TOGETHER if self.plan.mode == "quick" else SEPARATE
        pool = ThreadPoolExecutor(max_workers=_STATIONS_PER_PROCESSOR * len(os.sched_getaffinity(0)))
        futures = [
            pool.submit(semantics.run, driver, course, self.plan.experiments, keep=keep)
            for course in courses
            for driver in drivers
        ]
        try:
            left = set(futures)
            while left:
                done, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            self.stopping.set()
            pool.shutdown(wait=True, cancel_futures=True)
            _close(station for station in map(_outcome, futures) if station is not None)
            raise
        pool.shutdown()
        return [station for station in map(_outcome, futures) if station is not None]

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
