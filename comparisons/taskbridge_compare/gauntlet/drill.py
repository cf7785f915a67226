"""One drain: jobs go in, a fault strikes, the worker is kept running, and what never came out is searched for."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskbridge_compare.gauntlet.executions import hits
from taskbridge_compare.gauntlet.jobs import mixed
from taskbridge_compare.gauntlet.sight import Sight
from taskbridge_compare.ledger import NotSeen
from taskbridge_compare.place import START_SECONDS
from taskbridge_compare.residual import search
from taskbridge_compare.station import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge.process import Process
    from taskbridge_compare.drivers import Broker
    from taskbridge_compare.faults.proxy import CuttingProxy
    from taskbridge_compare.gauntlet.jobs import Job
    from taskbridge_compare.gauntlet.size import Size
    from taskbridge_compare.ledger import Event
    from taskbridge_compare.servers import Servers
    from taskbridge_compare.station import Station

_PRODUCER_SECONDS = 600.0
_LOOK_SECONDS = 0.05
_SEARCHED = 60
_RESTART_SECONDS = 0.5
# A classic queue of RabbitMQ keeps acknowledgements in memory until a confirm or a quiet moment; 7 s were seen. What
# Redis and PostgreSQL have replied to outlives their process.
_FORGETS: Mapping[Broker, float] = {"amqp": 30.0}


@dataclass(slots=True, kw_only=True)
class Drill:
    """What a fault works with."""

    station: Station
    servers: Servers
    size: Size
    broker_url: str
    """The straight way to the broker."""
    proxy: CuttingProxy | None = None
    jobs: list[Job] = field(init=False)
    sight: Sight = field(init=False)
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = self.station.key("job")
        self.jobs = mixed(self.size.jobs, self.token)
        self.sight = Sight(self.station.ledger, self.jobs)

    @property
    def worker(self) -> Process:
        """The worker that runs now."""
        assert self.station.worker is not None
        return self.station.worker

    def write(self, kind: str, key: str = "", **extra: object) -> None:
        """An event of the harness itself."""
        self.station.ledger.write(kind, key, **extra)

    def enqueue(self, jobs: Sequence[Job], *, pause: float = 0.0) -> None:
        """From the producer process, one after the other."""
        task = self.station.workload.of_role("short")
        requests = [job.request(task.arguments) for job in jobs]
        request: dict[str, Any] = {"verb": "enqueue_each", "task": task.name, "jobs": requests, "pause": pause}
        self.station.ask(request, seconds=_PRODUCER_SECONDS)

    def keep_worker(self) -> None:
        """Start the worker again if it died by itself, as a supervisor would."""
        if not self.worker.running:
            self.write("worker_ended", exit_code=self.worker.exit_code)
            self.station.ledger.pause(_RESTART_SECONDS)
            self.sight.forget_running()
            self.station.start_worker()

    def target(self, number: int, *, done: int, seconds: float) -> Event | None:
        """A moment to strike; None if all that is left has been still for too long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.keep_worker()
            if (event := self.sight.target(number, done=done, seconds=min(10.0, seconds))) is not None:
                return event
            if not self.sight.missing:
                return None
        return None

    def hit(self, number: int) -> bool:
        """True if an execution was between its start and its end when this strike fell."""
        return number in hits(self.station.ledger.events())

    def drain(self) -> dict[str, Any]:
        """Wait until every confirmed job has completed or nothing moves any more; what the judge is asked."""
        self.sight.look()
        self.sight.moved = time.monotonic()
        while self.sight.missing and time.monotonic() < self.sight.moved + self.size.patience:
            self.keep_worker()
            self.station.ledger.pause(_LOOK_SECONDS)
            self.sight.look()
        sentinel = ""
        with contextlib.suppress(NotSeen, Refused):
            sentinel = self.station.sentinel("sentinel", seconds=START_SECONDS)
        self.station.ledger.pause(self.size.settle)
        self.sight.look()
        self._search()
        return {
            "token": self.token,
            "jobs": self.size.jobs,
            "strikes": self.size.strikes,
            "sentinel": sentinel,
            "broker_forgets": _FORGETS.get(self.station.driver.broker, 0.0),
        }

    def _search(self) -> None:
        """Write down where the broker holds what never completed. RabbitMQ shows only what no consumer holds."""
        missing = sorted(self.sight.missing)
        broker = self.station.driver.broker
        if missing and broker == "amqp":
            self.station.stop_worker()
        queues = self.servers.queues(self.broker_url) if missing and broker == "amqp" else ()
        for key in missing[:_SEARCHED]:
            places = search(self.broker_url, [key, self.sight.confirmed[key]], queues)
            self.write("residual", key, places=[place.plain() for place in places])
