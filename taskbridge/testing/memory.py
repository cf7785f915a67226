"""`memory://`: jobs wait in this process, in their JSON form, and run when they are told to. For tests."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, assert_never

import msgspec

from taskbridge.backend import Backend, Run, WorkerOptions
from taskbridge.capability import Capabilities, emulated, native, refused
from taskbridge.errors import ConfigurationError
from taskbridge.message import Again, Cancelled, Dead, Done, Expired, Message, Skipped, decode_headers, encode_headers
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.settings import DEFAULT
from taskbridge.store import open_store
from taskbridge.worker import (
    CANCEL_COST,
    KEY_COST,
    TERMINATE_COST,
    AtMostOnce,
    Cancellations,
    DeadLetters,
    Deadline,
    EffectivelyOnce,
    Expiry,
    Results,
    Retries,
    Termination,
)
from taskbridge.worker.attempt import Environment
from taskbridge.worker.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskbridge.process import Command
    from taskbridge.registry import Registry
    from taskbridge.settings import BackendURL
    from taskbridge.store import Store

logger = logging.getLogger("taskbridge.memory")

RECORD = Capabilities(
    at_least_once=refused("the jobs live and die with this process: this backend is for tests"),
    at_most_once=emulated(AtMostOnce, cost="one write to the store before the body"),
    effectively_once=emulated(EffectivelyOnce, cost=KEY_COST),
    retry=emulated(Retries, cost="nothing: the job goes back into the list"),
    timeout=emulated(Deadline, cost="a timer for each attempt with a limit"),
    prompt_timeout=native("where jobs are worked off in the main thread"),
    expires=emulated(Expiry, cost="a comparison before each attempt"),
    run_after=native("a job is passed over until it is due"),
    priority=native("any whole number, larger first"),
    result=emulated(Results, cost="three writes a job to the store"),
    cancel=emulated(Cancellations, cost=CANCEL_COST),
    terminate=emulated(Termination, cost=TERMINATE_COST),
    dead_letters=emulated(DeadLetters, cost="one write to the store for a job that fails for good"),
    context=native("beside the arguments"),
)


class MemoryBackend(Backend):
    """Keeps each job as the JSON text that a real broker would hold, so that what does not travel fails here too."""

    engine: ClassVar[str] = "memory"
    brokers: ClassVar[tuple[str, ...]] = ("",)
    url_options: ClassVar[Mapping[str, str]] = {}
    wire_names: ClassVar[Literal["name", "module path"]] = "name"

    def __init__(self, url: BackendURL | None = None, *, queues: Sequence[str] = (DEFAULT,)) -> None:  # noqa: ARG002 - every adapter is built so
        self.capabilities = RECORD
        self.is_immediate = False
        """Run each job within its `enqueue`, if it is due."""
        self.delivers_twice = False
        """Deliver every job twice, as any at-least-once broker may: for testing that tasks are idempotent."""
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._run: Run | None = None
        self._started: Run | None = None

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Never raises `EnqueueError`: there is no broker that could fail."""
        with self._lock:
            for message in messages:
                copies = 2 if self.delivers_twice else 1
                self._waiting += [_Waiting.of(message, attempt=1)] * copies
        if self.is_immediate:
            self.run_all()

    def serve(self, registry: Registry, run: Run, /) -> None:  # noqa: ARG002 - the runner knows the tasks
        self._run = run

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:  # noqa: ARG002 - it has none
        raise ConfigurationError(
            "memory:// has no worker processes, since its jobs live in the process that enqueued them. Call run_all() "
            "in the test, or choose huey+sqlite:///./queue.db."
        )

    def close(self) -> None:
        """Forget all jobs, as the end of the process would, after the stop hooks if an attempt was made."""
        started, self._started = self._started, None
        if started is not None:
            started.stop()
        with self._lock:
            self._waiting.clear()
            if self._folder is not None:
                self._folder.cleanup()
            self._folder = None

    def open_store(self) -> Store:
        """A file of SQLite's that lives as long as the jobs."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="taskbridge-memory-")
        return open_store(f"sqlite:///{self._folder.name}/results.db")

    @property
    def jobs(self) -> list[Message]:
        """The jobs that wait, in the order in which they would run if all were due."""
        with self._lock:
            return [_deserialized(job.text) for job in sorted(self._waiting, key=lambda job: -job.priority)]

    def run_all(self, *, until: datetime | None = None) -> int:
        """Run every job that is due, with what they enqueue, and return how many attempts that took.

        Args:
            until: treat jobs as due that are to run by then; their retries too. Default: now.
        """
        count = 0
        while (found := self._take(until or datetime.now(UTC))) is not None:
            count += 1
            try:
                message = _deserialized(found.text)
            except msgspec.MsgspecError:
                logger.exception("A job cannot be read.")
                continue
            self._settle(message, found.attempt, self._runner()(message, attempt=found.attempt))
        return count

    def work_off(self, until: Callable[[], bool], /, *, timeout: timedelta) -> bool:
        """Run jobs as they fall due, until the condition holds; False if it does not within the time."""
        deadline = time.monotonic() + timeout.total_seconds()
        while not until():
            if time.monotonic() > deadline:
                return False
            if not self.run_all():
                time.sleep(0.005)
        return True

    def _take(self, moment: datetime) -> _Waiting | None:
        with self._lock:
            due = [job for job in self._waiting if job.run_after is None or job.run_after <= moment]
            if not due:
                return None
            first = max(due, key=lambda job: job.priority)
            self._waiting.remove(first)
            return first

    def _settle(self, message: Message, attempt: int, outcome: Any) -> None:
        match outcome:
            case Again(delay):
                message.run_after = datetime.now(UTC) + delay
                with self._lock:
                    self._waiting.append(_Waiting.of(message, attempt=attempt + 1))
            case Done() | Dead() | Expired() | Skipped() | Cancelled():
                pass
            case _:
                assert_never(outcome)

    def _runner(self) -> Run:
        # The registry may have grown since the last job: a test module declares its tasks when it is imported.
        run = self._run or Runner(
            self, Environment(alias=DEFAULT, registry=registry, open_store=lambda: router.store(DEFAULT))
        )
        if self._started is None:
            self._started = run
            run.start()
        return run


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A job in its JSON form, and what decides when its turn comes."""

    text: str
    attempt: int
    priority: int
    run_after: datetime | None

    @classmethod
    def of(cls, message: Message, *, attempt: int) -> _Waiting:
        return cls(_serialized(message), attempt, message.priority, message.run_after)


def _serialized(message: Message) -> str:
    fields = {name: getattr(message, name) for name in ("id", "task", "args", "kwargs", "queue_name", "priority")}
    fields["run_after"] = message.run_after.isoformat() if message.run_after else None
    fields["headers"] = encode_headers(message.headers) if message.headers else None
    return json.dumps(fields, allow_nan=False)


def _deserialized(text: str) -> Message:
    fields = json.loads(text)
    run_after, headers = fields.pop("run_after"), fields.pop("headers")
    return Message(
        **fields,
        run_after=datetime.fromisoformat(run_after) if run_after else None,
        headers=decode_headers(headers) if headers else None,
    )
