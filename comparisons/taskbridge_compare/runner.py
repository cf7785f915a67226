"""Runs experiments: semantics side by side on many stations, speed afterwards and alone."""

from __future__ import annotations

import os
import resource
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from taskbridge.process import GuardedFolder
from taskbridge_compare.checkers import Verdict
from taskbridge_compare.drivers import shown
from taskbridge_compare.experiments import FAULTS, STEADY, Experiment, Scene
from taskbridge_compare.experiments.expiry import EXPIRES_SECONDS
from taskbridge_compare.experiments.waiting import prepare
from taskbridge_compare.faults.proxy import CuttingProxy
from taskbridge_compare.ledger import Event, Interrupted, NotSeen
from taskbridge_compare.results import Result, machine, now, versions
from taskbridge_compare.servers import Servers
from taskbridge_compare.speed.course import DEFAULT, FULL, QUICK, SpeedCourse
from taskbridge_compare.station import Refused, Station, StationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from taskbridge_compare.drivers import Driver
    from taskbridge_compare.speed.number import Number
    from taskbridge_compare.workload import Workload

CourseName = Literal["faults", "steady"]
_COURSES: dict[CourseName, tuple[Experiment, ...]] = {"faults": FAULTS, "steady": STEADY}
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
                self._semantics(drivers, servers, folder.path)
                if self.plan.speed and drivers:
                    self._speed(drivers, servers, folder.path)
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
            if driver.broker in servers.missing:
                entry = {
                    "backend": driver.backend,
                    "profile": driver.profile,
                    "reason": servers.missing[driver.broker],
                }
                self.result.not_run.append(entry)
                self.tell("not_run", entry)
            else:
                drivers.append(driver)
        return drivers

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

    def _semantics(self, drivers: Sequence[Driver], servers: Servers, folder: Path) -> None:
        courses: list[tuple[Driver, CourseName]] = [(driver, "faults") for driver in drivers]
        courses += [(driver, "steady") for driver in drivers]
        pool = ThreadPoolExecutor(max_workers=_STATIONS_PER_PROCESSOR * len(os.sched_getaffinity(0)))
        futures: set[Future[None]] = {
            pool.submit(self._course, driver, name, servers, folder) for driver, name in courses
        }
        try:
            while futures:
                done, futures = wait(futures, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            self.stopping.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _course(self, driver: Driver, name: CourseName, servers: Servers, folder: Path) -> None:
        wanted = [one for one in _COURSES[name] if self.plan.experiments is None or one.name in self.plan.experiments]
        if not wanted or self.stopping.is_set():
            return
        station: Station | None = None
        proxy: CuttingProxy | None = None
        left = list(wanted)
        try:
            url = servers.fresh_url(driver.broker)
            proxy, worker_url = _through_proxy(url) if name == "faults" else (None, None)
            place = folder / f"{driver.backend}-{driver.profile}-{name}"
            station = Station(
                driver, self.plan.workload, folder=place, url=url, worker_url=worker_url, stopping=self.stopping
            )
            if name == "steady":
                prepare(station, expires=EXPIRES_SECONDS)
            scene = Scene(station=station, window=self.plan.window, proxy=proxy)
            while left:
                station.ready()
                self._experiment(scene, left[0])
                left.pop(0)
        except Interrupted:
            return
        except (StationError, NotSeen, Refused, OSError) as error:
            for experiment in left:
                self._broken(driver, experiment, station, f"{type(error).__name__}: {error}")
        finally:
            if station is not None:
                station.close()
            if proxy is not None:
                proxy.close()

    def _experiment(self, scene: Scene, experiment: Experiment) -> None:
        station = scene.station
        begin = time.monotonic()
        try:
            asked = experiment.run(scene)
        except Refused as refused:
            asked = {"victim": refused.key, "window": scene.window, "bounds": {}}
        except (NotSeen, StationError) as error:
            self._broken(station.driver, experiment, station, f"{error}{station.log_tail()}")
            return
        raw = _evidence(station.ledger.events(), experiment, asked)
        # Judged on what is published, so that the published can be judged again.
        verdict = experiment.judge([Event.restore(event) for event in raw], asked)
        self._cell(station.driver, experiment, verdict, raw, asked=asked, seconds=round(time.monotonic() - begin, 2))

    def _broken(self, driver: Driver, experiment: Experiment, station: Station | None, why: str) -> None:
        verdict = Verdict(outcome="unknown", text="unknown", detail=why)
        raw = _evidence(station.ledger.events(), experiment, {}) if station is not None else []
        self._cell(driver, experiment, verdict, raw, asked={}, seconds=0.0, broken=True)

    def _cell(
        self,
        driver: Driver,
        experiment: Experiment,
        verdict: Verdict,
        raw: list[dict[str, Any]],
        **more: Any,
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
        sizes = {"quick": QUICK, "default": DEFAULT, "full": FULL}[self.plan.mode]
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


def _evidence(events: Sequence[Event], experiment: Experiment, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of an experiment's own keys, and the starts of workers from its first event on."""
    keys = {value for value in asked.values() if isinstance(value, str)} - {""}
    keys |= set(asked.get("keys", ())) | {key for key, _ in asked.get("order", ())}
    own = [event for event in events if event.key in keys or event.key.startswith(experiment.name)]
    begin = own[0].at if own else 0.0
    chosen = [event for event in events if event in own or (event.kind == "worker" and own and event.at > begin)]
    return [_published(event) for event in chosen]


def _published(event: Event) -> dict[str, Any]:
    plain = event.plain()
    plain.pop("thread", None)
    plain["at"] = round(plain["at"], 6)
    if event.kind == "worker":
        plain["argv"] = shown(plain["argv"])
    return plain


def _through_proxy(url: str) -> tuple[CuttingProxy | None, str | None]:
    parts = urlsplit(url)
    if not parts.port:
        return None, None
    proxy = CuttingProxy(parts.hostname or "127.0.0.1", parts.port)
    credentials, at, _ = parts.netloc.rpartition("@")
    return proxy, parts._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}").geturl()
