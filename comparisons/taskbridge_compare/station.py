"""A station: one application on one broker, its producer, its worker, and the ledger that all of them write."""

from __future__ import annotations

import secrets
import signal
import time
from typing import TYPE_CHECKING, Any

from taskbridge.process import Command, Process
from taskbridge_compare.ledger import Ledger, NotSeen
from taskbridge_compare.place import START_SECONDS, StationError, importing, lay_out
from taskbridge_compare.producing import REPLY_SECONDS, ProducerProcess
from taskbridge_compare.worker_tree import pids

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

    from taskbridge_compare.drivers.driver import Driver
    from taskbridge_compare.ledger import Event
    from taskbridge_compare.place import Place
    from taskbridge_compare.workload import Workload, WorkloadTask

_SENTINEL_SECONDS = 10.0


class Refused(Exception):
    """The engine refused the enqueue of the job `key`."""

    def __init__(self, key: str, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.key = key


class Station:
    """Everything that an experiment needs to run one application; `close` leaves no process behind."""

    def __init__(
        self,
        driver: Driver,
        workload: Workload,
        *,
        folder: Path,
        url: str,
        worker_url: str | None = None,
        slots: int | None = 1,
        stopping: threading.Event | None = None,
    ) -> None:
        """`worker_url` is another way to the same broker (a proxy that can be cut)."""
        folder.mkdir(parents=True, exist_ok=True)
        self.driver = driver
        self.workload = workload
        self.folder = folder
        self.url = url
        self.ledger = Ledger(folder / "ledger.jsonl", stopping)
        self.ids: dict[str, str] = {}
        self.prepared: dict[str, str] = {}
        self.workers_started = 0
        self.sent = 0
        self.worker: Process | None = None
        self.second: Process | None = None
        """Another worker beside the first, where a fault needs one."""
        self.place = self._lay_out(url, "producer", slots)
        """Where the application lies."""
        self._producer = ProducerProcess(self.place, folder / "producer.log", self.ledger)
        self._worker_place = self.place if worker_url is None else self._lay_out(worker_url, "worker", slots)
        for argv in self.place.application.setup:
            with importing(self.ledger):
                self.place.run(argv)

    def go_direct(self) -> None:
        """End a worker that goes through a proxy; from its next start on it takes the straight way to its broker."""
        if self._worker_place is not self.place:
            self.stop_worker()
        self._worker_place = self.place

    def _lay_out(self, url: str, name: str, slots: int | None) -> Place:
        application = self.driver.application(self.workload, url, slots=slots)
        native = self.driver.profile != "taskbridge"
        return lay_out(application, self.folder / name, self.workload, ledger=self.ledger, native=native)

    def key(self, name: str) -> str:
        """A key that stands nowhere else, so that a broker can be searched for it."""
        return f"{name}-{secrets.token_hex(6)}"

    def ask(self, request: Mapping[str, Any], *, seconds: float = REPLY_SECONDS) -> dict[str, Any]:
        """The producer's answer; raises StationError if it is an error of the application, or does not come."""
        reply = self._producer.request(request, seconds=seconds)
        if "error" in reply:
            raise StationError(f"{self.driver.backend}: {reply['error']}: {reply['message']}")
        return reply

    def enqueue(self, task: WorkloadTask | str, key: str, *, hold: float = 0.0, **options: Any) -> str:
        """Enqueue one job, recording the attempt and its outcome; its native id. Raises Refused."""
        name, arguments = (task, {}) if isinstance(task, str) else (task.name, dict(task.arguments))
        job = {"key": key, "arguments": arguments, **({"hold": hold} if hold else {})}
        self.ledger.write("enqueue", key, task=name, options=options)
        reply = self._producer.request({"verb": "enqueue", "task": name, "job": job, "options": options})
        if "error" in reply:
            self.ledger.write("refused", key, error=reply["error"], message=reply["message"])
            raise Refused(key, reply["error"], reply["message"])
        self.ledger.write("enqueued", key, id=reply["id"])
        self.ids[key] = reply["id"]
        return str(reply["id"])

    def start_worker(self) -> Process:
        """Start the engine's own worker, if none runs. It is ready when it runs a job: `sentinel`."""
        if self.worker is not None and self.worker.running:
            return self.worker
        if self.worker is not None:
            self.worker.kill_tree()
        self.worker = self._worker_process()
        return self.worker

    def start_second(self) -> Process:
        """Start another such worker beside the first, if none runs."""
        if self.second is None or not self.second.running:
            if self.second is not None:
                self.second.kill_tree()
            self.second = self._worker_process()
        return self.second

    def _worker_process(self) -> Process:
        self.workers_started += 1
        command = Command(
            argv=self._worker_place.application.worker,
            environment=self._worker_place.environment,
            directory=self._worker_place.folder,
            stop_signal=signal.Signals[self._worker_place.application.stop_signal],
            label=f"{self.driver.backend} worker",
        )
        self.ledger.write("worker", "", argv=list(command.argv))
        return Process(command, log=self.folder / f"worker-{self.workers_started}.log")

    def kill_worker_tree(self, key: str) -> Event:
        """SIGKILL every process of the worker at once; the fault's event is written before."""
        assert self.worker is not None
        self.ledger.write("fault", key, fault="SIGKILL to the worker's whole tree", pids=pids(self.worker))
        self.worker.kill_tree()
        self.ledger.write("struck", key)
        return self.ledger.events()[-1]

    def stop_worker(self) -> None:
        """End the worker, and the second one, however they take it."""
        for worker in (self.worker, self.second):
            if worker is not None:
                worker.kill_tree()
        self.worker = self.second = None

    def sentinel(self, name: str, *, seconds: float) -> str:
        """Enqueue a short job behind all others and wait for its end; its key. Raises NotSeen.

        Sent again at times: what loses the job that is looked at may lose a sentinel too.
        """
        prefix = f"{name}.sentinel"
        until = time.monotonic() + seconds
        while True:
            self.enqueue(self.workload.of_role("short"), self.key(prefix))
            patience = min(_SENTINEL_SECONDS, until - time.monotonic())
            try:
                return self.ledger.wait_for(
                    lambda event: event.kind == "end" and event.key.startswith(prefix),
                    patience,
                    what=f"end of {prefix}",
                ).key
            except NotSeen:
                if time.monotonic() >= until:
                    raise

    def wait_start(self, key: str, *, seconds: float) -> Event:
        """The job's first attempt."""
        return self.ledger.wait_for(
            lambda event: event.kind == "start" and event.key == key, seconds, what=f"start of {key}"
        )

    def wait_end(self, key: str, *, seconds: float) -> Event:
        """The job's first complete run."""
        return self.ledger.wait_for(
            lambda event: event.kind == "end" and event.key == key, seconds, what=f"end of {key}"
        )

    def ready(self) -> None:
        """Start the worker and prove with a job that it works; raises StationError with the end of its log."""
        self.start_worker()
        try:
            self.sentinel(f"ready{self.key('')}", seconds=START_SECONDS)
        except (NotSeen, Refused) as error:
            raise StationError(f"{self.driver.backend}: no job ran ({error}){self.log_tail()}") from None

    def log_tail(self) -> str:
        """The end of the current worker's log."""
        return self.worker.log_tail() if self.worker is not None else ""

    def close(self) -> None:
        """End the producer and the worker."""
        self._producer.close()
        self.stop_worker()
