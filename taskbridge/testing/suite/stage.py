"""Where the behaviours play: one configured backend, its real workers, and the ledger that the tasks write."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

import taskbridge
from taskbridge.backend import CanRunInProcess, WorkerOptions
from taskbridge.binding import Binding
from taskbridge.errors import UnsupportedFeature
from taskbridge.process import Process
from taskbridge.router import router
from taskbridge.settings import BackendURL
from taskbridge.testing.suite import ledger, tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from taskbridge.capability import Level, Support
    from taskbridge.result import TaskResult
    from taskbridge.task import Task

PATIENCE: Final = timedelta(seconds=90)
"""How long anything may take before the behaviour has failed: all jobs are enqueued together, a thousand among them."""

ORDERED: Final = "ordered"
"""A queue with one worker that runs one job at a time."""

ASKED: Final[Mapping[str, Mapping[str, Any]]] = {
    "at_least_once": {"delivery": "at_least_once"},
    "at_most_once": {"delivery": "at_most_once"},
    "retry": {"retry": taskbridge.Retry(2)},
    "timeout": {"timeout": timedelta(seconds=1)},
    "expires": {"expires": timedelta(hours=1)},
    "run_after": {"run_after": timedelta(seconds=1)},
    "priority": {"priority": 50},
    "result": {"result": True},
    "context": {"metadata": {"tenant": "a"}},
}
"""How each option of the record is asked for. `prompt_timeout` is not: it is seen in what a timeout does."""


class Stage:
    """The backend under test."""

    def __init__(self, url: str, folder: Path, flip: str | None) -> None:
        self.url = url
        self.ledger = ledger.Reader(folder / "ledger.jsonl")
        os.environ[ledger.VARIABLE] = str(self.ledger.path)
        taskbridge.configure(url, queues=("default", ORDERED), imports=(tasks.__name__,))
        self.backend = router.backend()
        self.expected: dict[str, Support] = dict(self.backend.capabilities)
        if flip is not None:
            option, _, level = flip.partition("=")
            self.expected[option] = replace(self.expected[option], level=_level(level))
        self.folder = folder
        self._workers: list[Process] = []
        self._closing = ExitStack()

    def start(self) -> None:
        """Start the workers and wait until each queue has run a job."""
        if not self.is_in_process:
            for queue, concurrency in (("default", 2), (ORDERED, 1)):
                asked = WorkerOptions(queues=(queue,), concurrency=concurrency, imports=(tasks.__name__,))
                for number, command in enumerate(self.backend.worker_commands(asked)):
                    log = self.folder / f"worker-{queue}-{number}.log"
                    self._workers.append(self._closing.enter_context(Process(command, log=log)))
        for queue in ("default", ORDERED):
            key = self.key()
            tasks.note.using(queue_name=queue).enqueue(key)
            self.wait(key, "end")

    def stop(self) -> None:
        """Stop the workers and give back what was opened."""
        for worker in self._workers:
            worker.stop(grace=timedelta(seconds=10))
        self._closing.close()
        router.configure(None)

    def key(self) -> str:
        """A name for one job in the ledger."""
        return uuid.uuid4().hex

    def wait(self, key: str, kind: str, *, count: int = 1, patience: timedelta = PATIENCE) -> list[ledger.Event]:
        """The first events of a job, once there are `count` of them."""
        self.until(lambda: len(self.ledger.events(key, kind)) >= count, f"{count} {kind!r} of {key}", patience=patience)
        return self.ledger.events(key, kind)[:count]

    def until(self, holds: Callable[[], bool], what: str, *, patience: timedelta = PATIENCE) -> None:
        """Wait until something holds; fail with the workers' last words if it does not in time."""
        if isinstance(self.backend, CanRunInProcess):
            held = self.backend.work_off(holds, timeout=patience)
        else:
            deadline = time.monotonic() + patience.total_seconds()
            while not (held := holds()) and time.monotonic() < deadline:
                time.sleep(0.01)
        if not held:
            pytest.fail(f"Not seen within {patience.total_seconds():g} s: {what}.\n{self.last_words()}")

    def finish(self, handle: TaskResult[Any]) -> None:
        """Wait until a job has ended, by its record."""

        def is_finished() -> bool:
            handle.refresh()
            return handle.is_finished

        self.until(is_finished, f"the end of {handle.id}, now {handle.detail_status}")

    def settled(self) -> None:
        """Wait until a job that is enqueued now has ended on each queue: what stood before it has had its turn."""
        for queue in ("default", ORDERED):
            key = self.key()
            tasks.note.using(queue_name=queue).enqueue(key)
            self.wait(key, "end")

    def must_refuse(self, option: str) -> None:
        """See that the option is refused when a task is bound, in words that name it and the backend."""
        asked = ASKED.get(option)
        if asked is None:
            return
        with pytest.raises(UnsupportedFeature) as caught:
            _bind(tasks.note, asked)
        assert self.backend.engine in str(caught.value)
        assert str(next(iter(asked))) in str(caught.value) or option in str(caught.value)

    def bind_strictly(self, option: str) -> None:
        """Bind a task that asks for this option to the same backend with strict=yes."""
        settings = router.backend_settings("default")
        assert isinstance(settings.target, BackendURL)
        Binding(
            task=tasks.note.using(**ASKED[option]),
            alias="default",
            backend=self.backend,
            settings=replace(settings, target=settings.target.with_options(strict="yes")),
            open_store=lambda: None,
            generation=router.generation,
        )

    @property
    def is_in_process(self) -> bool:
        """True if the jobs live in this process, and not in a broker that others reach too."""
        return isinstance(self.backend, CanRunInProcess)

    def has_exited_well(self, pid: int) -> bool:
        """Whether a child has ended; fails if it did not end with 0."""
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended == 0:
            return False
        assert os.waitstatus_to_exitcode(status) == 0
        return True

    def last_words(self) -> str:
        """The end of each worker's log."""
        return "\n".join(f"--- {worker.command.name}, last lines\n{worker.log_tail()}" for worker in self._workers)


def _bind(task: Task[..., Any, Any], asked: Mapping[str, Any]) -> None:
    router.bind(task.using(**asked))


def _level(text: str) -> Level:
    match text:
        case "native" | "emulated" | "refused":
            return text
    raise pytest.UsageError(f"--flip takes OPTION=LEVEL with the level native, emulated or refused, not {text!r}.")


def now() -> datetime:
    """The aware present."""
    return datetime.now(UTC)
