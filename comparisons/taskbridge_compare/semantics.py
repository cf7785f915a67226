"""The experiments of one row, one after another on a station; rows run side by side."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from taskbridge_compare.checkers import Verdict
from taskbridge_compare.drivers import shown
from taskbridge_compare.experiments import EXPERIMENTS, Scene
from taskbridge_compare.experiments.expiry import EXPIRES_SECONDS
from taskbridge_compare.experiments.waiting import prepare
from taskbridge_compare.faults.proxy import CuttingProxy
from taskbridge_compare.ledger import Event, Interrupted, NotSeen
from taskbridge_compare.place import StationError
from taskbridge_compare.station import Refused, Station

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from taskbridge_compare.drivers import Driver
    from taskbridge_compare.experiments import Experiment
    from taskbridge_compare.servers import Servers
    from taskbridge_compare.workload import Workload


# The experiments of a row share a station, in this order; those of one stage run at the same time. What waited before
# the first worker is looked at first; the kills come last, each on the worker that the one before left.
_STAGES = (
    ("expiry",),
    ("priority",),
    ("accounting",),
    ("delay", "retry_curve"),
    ("unknown_task",),
    ("time_limit",),
    ("connection_cut",),
    ("child_kill",),
    ("sigterm",),
    ("tree_kill",),
)


def stages_of(wanted: frozenset[str] | None) -> list[list[Experiment]]:
    """The stages with only the wanted experiments; all, if None."""
    chosen = [[EXPERIMENTS[name] for name in stage if wanted is None or name in wanted] for stage in _STAGES]
    return [stage for stage in chosen if stage]


class Record(Protocol):
    """Takes each cell: row, experiment, verdict, raw events, and what else belongs to it."""

    def __call__(
        self, driver: Driver, experiment: Experiment, verdict: Verdict, raw: list[dict[str, Any]], **more: Any
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantics:
    """What every row of a run needs."""

    workload: Workload
    servers: Servers
    folder: Path
    window: float
    stopping: threading.Event
    record: Record

    def run(self, driver: Driver, wanted: frozenset[str] | None, *, keep: bool) -> Station | None:
        """Run a row's experiments. With `keep` the station is handed back, its worker running; else it is ended."""
        stages = stages_of(wanted)
        if not stages or self.stopping.is_set():
            return None
        station: Station | None = None
        proxy: CuttingProxy | None = None
        kept = False
        try:
            url = self.servers.fresh_url(driver.broker)
            proxy, worker_url = _through_proxy(url)
            place = self.folder / f"{driver.backend}-{driver.profile}"
            station = Station(
                driver, self.workload, folder=place, url=url, worker_url=worker_url, stopping=self.stopping
            )
            self._stages(station, proxy, stages)
            if keep:
                station.go_direct()
                station.ready()
                kept = True
                return station
        except Interrupted:
            pass
        except (StationError, NotSeen, Refused, OSError) as error:
            for experiment in (one for stage in stages for one in stage):
                self._broken(driver, experiment, station, f"{type(error).__name__}: {error}")
        finally:
            if station is not None and not kept:
                station.close()
            if proxy is not None:
                proxy.close()
        return None

    def _stages(self, station: Station, proxy: CuttingProxy | None, stages: list[list[Experiment]]) -> None:
        """Run the stages, taking each off the list when it is done."""
        if any(experiment.name in ("expiry", "priority") for stage in stages for experiment in stage):
            prepare(station, expires=EXPIRES_SECONDS)
        scene = Scene(station=station, window=self.window, proxy=proxy, queues=self.servers.queues)
        while stages:
            station.ready()
            with ThreadPoolExecutor(max_workers=len(stages[0])) as pool:
                for done in [pool.submit(self._experiment, scene, experiment) for experiment in stages[0]]:
                    done.result()
            stages.pop(0)

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
        seconds = round(time.monotonic() - begin, 2)
        self.record(station.driver, experiment, verdict, raw, asked=asked, seconds=seconds)

    def _broken(self, driver: Driver, experiment: Experiment, station: Station | None, why: str) -> None:
        verdict = Verdict(outcome="unknown", text="unknown", detail=why)
        raw = _evidence(station.ledger.events(), experiment, {}) if station is not None else []
        self.record(driver, experiment, verdict, raw, asked={}, seconds=0.0, broken=True)


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
