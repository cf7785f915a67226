"""A station: one application on one broker, its producer, its worker, and the ledger that all of them write."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil

from taskbridge.process import Command, Process
from taskbridge_compare.drivers.driver import write
from taskbridge_compare.ledger import Ledger, NotSeen
from taskbridge_compare.probe import LEDGER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from taskbridge_compare.drivers.driver import Application, Driver
    from taskbridge_compare.ledger import Event
    from taskbridge_compare.workload import Workload, WorkloadTask

START_SECONDS = 45.0
_REPLY_SECONDS = 30.0
_TURN_SECONDS = 0.2
_SENTINEL_SECONDS = 10.0
# Imports keep a processor busy: in turns, the first stations are already at work while the last ones begin.
_IMPORTING = threading.BoundedSemaphore(max(2, len(os.sched_getaffinity(0))))


class StationError(Exception):
    """The application itself does not work: a producer that cannot start, a worker that never runs a job."""


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
        self._producer: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()
        self._temporary = folder.parent / "tmp"  # as short as can be: a socket's path has at most 107 characters
        self._temporary.mkdir(exist_ok=True)
        self._application = driver.application(workload, url, slots=slots)
        self._producer_folder = folder / "producer"
        self._worker_application = self._application
        self._worker_folder = self._producer_folder
        self._lay_out(self._application, self._producer_folder)
        if worker_url is not None:
            self._worker_application = driver.application(workload, worker_url, slots=slots)
            self._worker_folder = folder / "worker"
            self._lay_out(self._worker_application, self._worker_folder)
        for argv in self._application.setup:
            with self._import_in_turn():
                self._run(argv)

    def go_direct(self) -> None:
        """End a worker that goes through a proxy; from its next start on it takes the straight way to its broker."""
        if self._worker_folder != self._producer_folder:
            self.stop_worker()
        self._worker_application = self._application
        self._worker_folder = self._producer_folder

    def _lay_out(self, application: Application, place: Path) -> None:
        place.mkdir()
        write(application, self.workload, place, native=self.driver.profile != "taskbridge")

    @property
    def application(self) -> Application:
        """The application as written."""
        return self._application

    @property
    def directory(self) -> Path:
        """Where the application lies."""
        return self._producer_folder

    def environment(self, application: Application) -> dict[str, str]:
        """What the application's processes get on top of ours."""
        return {
            **application.environment,
            LEDGER_VARIABLE: str(self.ledger.path),
            "PYTHONPATH": str(self.workload.folder),  # for what its module imports from beside it
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",  # an engine's own deprecations are not what is looked for
            "PYTHONDONTWRITEBYTECODE": "",  # a variable of build machines, which makes each start several times as long
            "TMPDIR": str(self._temporary),  # a killed worker leaves its temporary files
        }

    @contextlib.contextmanager
    def _import_in_turn(self) -> Iterator[None]:
        while not _IMPORTING.acquire(timeout=_TURN_SECONDS):
            self.ledger.pause(0)
        try:
            yield
        finally:
            _IMPORTING.release()

    def _run(self, argv: tuple[str, ...]) -> None:
        done = subprocess.run(
            argv,
            cwd=self._producer_folder,
            env={**os.environ, **self.environment(self._application)},
            capture_output=True,
            timeout=60,
            check=False,
            text=True,
        )
        if done.returncode:
            raise StationError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()[-800:]}")

    # The producer.

    def key(self, name: str) -> str:
        """A key that stands nowhere else, so that a broker can be searched for it."""
        return f"{name}-{secrets.token_hex(6)}"

    def request(self, request: Mapping[str, Any], *, seconds: float = _REPLY_SECONDS) -> dict[str, Any]:
        """Ask the producer, starting it if need be; raises StationError if it does not answer in time."""
        with self._asking:
            producer = self._producer
            if producer is None:
                with self._import_in_turn():
                    producer = self._start_producer()
            assert producer.stdin is not None
            try:
                producer.stdin.write(json.dumps(request) + "\n")
                producer.stdin.flush()
            except BrokenPipeError:
                raise StationError(f"the producer ended: {self._tail('producer.log')}") from None
            return self._reply(producer, seconds)

    def _start_producer(self) -> subprocess.Popen[str]:
        log = (self.folder / "producer.log").open("w")
        self._producer = subprocess.Popen(
            [sys.executable, "producer.py"],
            cwd=self._producer_folder,
            env={**os.environ, **self.environment(self._application), "SHOP_NEXT_RELEASE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        log.close()
        self._reply(self._producer, START_SECONDS)
        return self._producer

    def _reply(self, producer: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
        assert producer.stdout is not None
        watchdog = threading.Timer(seconds, producer.kill)
        watchdog.start()
        try:
            line = producer.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise StationError(f"the producer ended or hung for {seconds:g} s: {self._tail('producer.log')}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def check(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The reply, unless it is an error of the application: then StationError."""
        if "error" in reply:
            raise StationError(f"{self.driver.backend}: {reply['error']}: {reply['message']}")
        return reply

    def enqueue(self, task: WorkloadTask | str, key: str, *, hold: float = 0.0, **options: Any) -> str:
        """Enqueue one job, recording the attempt and its outcome; its native id. Raises Refused."""
        name, arguments = (task, {}) if isinstance(task, str) else (task.name, dict(task.arguments))
        job = {"key": key, "arguments": arguments, **({"hold": hold} if hold else {})}
        self.ledger.write("enqueue", key, task=name, options=options)
        reply = self.request({"verb": "enqueue", "task": name, "job": job, "options": options})
        if "error" in reply:
            self.ledger.write("refused", key, error=reply["error"], message=reply["message"])
            raise Refused(key, reply["error"], reply["message"])
        self.ledger.write("enqueued", key, id=reply["id"])
        self.ids[key] = reply["id"]
        return str(reply["id"])

    # The worker.

    def start_worker(self) -> Process:
        """Start the engine's own worker, if none runs. It is ready when it runs a job: `sentinel`."""
        if self.worker is not None and self.worker.running:
            return self.worker
        if self.worker is not None:
            self.worker.kill_tree()
        self.workers_started += 1
        command = Command(
            argv=self._worker_application.worker,
            environment=self.environment(self._worker_application),
            directory=self._worker_folder,
            stop_signal=signal.Signals[self._worker_application.stop_signal],
            label=f"{self.driver.backend} worker",
        )
        self.ledger.write("worker", "", argv=list(command.argv))
        self.worker = Process(command, log=self.folder / f"worker-{self.workers_started}.log")
        return self.worker

    def kill_worker_tree(self, key: str) -> Event:
        """SIGKILL every process of the worker at once; the fault's event is written before."""
        assert self.worker is not None
        self.ledger.write("fault", key, fault="SIGKILL to the worker's whole tree", pids=self.pids())
        self.worker.kill_tree()
        self.ledger.write("struck", key)
        return self.ledger.events()[-1]

    def pids(self) -> list[int]:
        """The worker's processes."""
        return [process.pid for process in self.worker.tree()] if self.worker is not None else []

    def freeze(self) -> None:
        """SIGSTOP every process of the worker: it takes no time and no job until `thaw`."""
        for process in self.worker.tree() if self.worker is not None else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """SIGCONT every process of the worker."""
        for process in self.worker.tree() if self.worker is not None else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def stop_worker(self) -> None:
        """End the worker, however it takes it."""
        if self.worker is not None:
            self.worker.kill_tree()
            self.worker = None

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

    def _tail(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace")[-800:].strip() if path.exists() else ""

    def close(self) -> None:
        """End the producer and the worker."""
        if self._producer is not None:
            assert self._producer.stdin is not None
            assert self._producer.stdout is not None
            self._producer.stdin.close()
            try:
                self._producer.wait(2)
            except subprocess.TimeoutExpired:
                self._producer.kill()
                self._producer.wait()
            self._producer.stdout.close()
            self._producer = None
        self.stop_worker()

    def wait_worker_exit(self, seconds: float) -> int | None:
        """The worker's exit code, or None if it still runs after `seconds`."""
        assert self.worker is not None
        until = time.monotonic() + seconds
        while self.worker.running and time.monotonic() < until:
            self.ledger.pause(0.05)
        return self.worker.wait(within=timedelta(0))
