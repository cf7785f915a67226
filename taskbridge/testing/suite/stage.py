"""Where the behaviours play: one configured backend, its real workers, and the ledger that the tasks write."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

import taskbridge
from taskbridge.backend import CanRunInProcess, WorkerOptions
from taskbridge.binding import Binding
from taskbridge.errors import ResultUnavailable, UnsupportedFeature
from taskbridge.identity import new_id
from taskbridge.message import Message
from taskbridge.outbox import open_outbox
from taskbridge.process import Process
from taskbridge.registry import registry, wire_name
from taskbridge.router import router
from taskbridge.scheduler import scheduling
from taskbridge.settings import BackendURL
from taskbridge.testing.application import Application
from taskbridge.testing.suite import faults, hooks, kinds, ledger, slow, tasks
from taskbridge.worker import Environment, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from taskbridge.capability import Level, Support
    from taskbridge.message import Headers, Outcome
    from taskbridge.result import TaskResult
    from taskbridge.task import Task

SLICE: Final = timedelta(seconds=0.05)
"""How long the jobs of one alias are worked off in this process before those of the other have their turn."""

GRACE: Final = timedelta(seconds=30)
"""How long a worker may take to leave."""

PATIENCE: Final = timedelta(seconds=150)
"""How long anything may take before the behaviour has failed: all jobs are enqueued together, a thousand among them."""

PATIENCE_IN_PROCESS: Final = timedelta(seconds=15)
"""The same where nothing but a delay can be waited for."""

ORDERED: Final = "ordered"
"""A queue with one worker that runs one job at a time."""

SECOND, THIRD = "second", "third"
"""Queues of another alias, which is called as the first of them; one request for a worker serves both."""

MODULES: Final = tuple(module.__name__ for module in (tasks, slow, hooks, kinds, faults))
"""What the workers import."""

ASKED: Final[Mapping[str, Mapping[str, Any]]] = {
    "at_least_once": {"delivery": "at_least_once"},
    "at_most_once": {"delivery": "at_most_once"},
    "effectively_once": {"delivery": "effectively_once", "key": "{key}"},
    "retry": {"retry": taskbridge.Retry(2, on=(Exception,))},
    "timeout": {"timeout": timedelta(seconds=1)},
    "expires": {"expires": timedelta(hours=1)},
    "run_after": {"run_after": timedelta(seconds=1)},
    "priority": {"priority": 50},
    "result": {"result": True},
    "cancel": {"cancellable": True},
    "context": {"metadata": {"tenant": "a"}},
}
"""How each option of the record is asked for at binding. `prompt_timeout` is seen in what a timeout does, and
`terminate` is a word of `cancel()`."""


class Stage:
    """The backend under test."""

    def __init__(self, url: str, folder: Path, flip: str | None, *, bulk: int = 1000) -> None:
        self.url = url
        self.bulk = bulk
        self.ledger = ledger.Reader(folder / "ledger.jsonl")
        os.environ[ledger.VARIABLE] = str(self.ledger.path)
        self.application = Application(folder)
        taskbridge.configure(
            backends={
                "default": {"url": url, "queues": ("default", ORDERED)},
                SECOND: {"url": url, "queues": (SECOND, THIRD)},
            },
            imports=MODULES,
            outbox=[self.application.url],
        )
        self.backend = router.backend()
        self.expected: dict[str, Support] = dict(self.backend.capabilities)
        if flip is not None:
            option, _, level = flip.partition("=")
            self.expected[option] = replace(self.expected[option], level=_level(level))
        self.folder = folder
        self._workers: list[Process] = []
        self._elsewhere: list[Process] = []
        self._keys_elsewhere: list[str] = []
        self._dismissed: str | None = None
        self._closing = ExitStack()

    def start(self) -> None:
        """Start the workers and wait until each queue has run a job."""
        if not self.is_in_process:
            self._workers = [*self._serve(("default",), concurrency=2), *self._serve((ORDERED,))]
            self._elsewhere = self._serve((SECOND, THIRD), alias=SECOND)
        for url in router.settings.outbox:
            with closing(open_outbox(url)) as table:
                table.create()
        self._closing.enter_context(scheduling(("default",), _say_nothing))
        for queue in ("default", ORDERED):
            key = self.key()
            tasks.note.using(queue_name=queue).enqueue(key)
            self.wait(key, "end")

    def _serve(self, queues: tuple[str, ...], *, alias: str = "default", concurrency: int = 1) -> list[Process]:
        asked = WorkerOptions(alias=alias, queues=queues, concurrency=concurrency, grace=GRACE, imports=MODULES)
        return [
            self._closing.enter_context(Process(command, log=self.folder / f"worker-{queues[0]}-{number}.log"))
            for number, command in enumerate(router.backend(alias).worker_commands(asked))
        ]

    def key_elsewhere(self) -> str:
        """A name for a job that goes to the alias SECOND."""
        self._keys_elsewhere.append(self.key())
        return self._keys_elsewhere[-1]

    def dismiss(self) -> str:
        """Ask the workers of SECOND to leave while they run a job, and wait until they have; the key of that job."""
        if self._dismissed is None:
            for key in self._keys_elsewhere:
                self.wait(key, "end")
            held, opened = self.key(), self.folder / "dismissed"
            slow.waits_for_file.using(backend=SECOND, queue_name=SECOND).enqueue(held, str(opened))
            self.wait(held, "start")
            for worker in self._elsewhere:
                worker.send(worker.command.stop_signal)
            opened.touch()
            self.wait(held, "end")
            for worker in self._elsewhere:
                code = worker.wait(within=GRACE)
                assert code == 0, f"{worker.command.name} ended with {code}.\n{self.last_words()}"
            self._dismissed = held
        return self._dismissed

    def stop(self) -> None:
        """Stop the workers and give back what was opened."""
        for worker in (*self._workers, *self._elsewhere):
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
        if self.is_in_process:
            patience = min(patience, PATIENCE_IN_PROCESS)
        deadline = time.monotonic() + patience.total_seconds()
        while not (held := holds()) and time.monotonic() < deadline:
            for alias in ("default", SECOND):
                backend = router.backend(alias)
                if isinstance(backend, CanRunInProcess):
                    backend.work_off(holds, timeout=SLICE)
            time.sleep(0.01)
        if not held:
            pytest.fail(f"Not seen within {patience.total_seconds():g} s: {what}.\n{self.last_words()}")

    def finish(self, handle: TaskResult[Any]) -> None:
        """Wait until a job has ended, by its record."""

        def is_finished() -> bool:
            handle.refresh()
            with suppress(ResultUnavailable):  # it is in an outbox still
                return handle.is_finished
            return False

        self.until(is_finished, f"the end of {handle.id}")

    def settled(self) -> None:
        """Wait until a job that is enqueued now has ended on each queue: what stood before it has had its turn."""
        for queue in ("default", ORDERED):
            key = self.key()
            tasks.note.using(queue_name=queue).enqueue(key)
            self.wait(key, "end")

    @contextmanager
    def ceiling(self, ceiling: timedelta) -> Iterator[None]:
        """In this process, a lower ceiling for delays: what a broker holds for half an hour is too long to wait for."""
        record = self.backend.capabilities
        self.backend.capabilities = replace(record, run_after=replace(record.run_after, ceiling=ceiling))
        try:
            yield
        finally:
            self.backend.capabilities = record

    def attempt_here(
        self, task: Task[..., Any, Any], *args: Any, headers: Headers, retry_ceiling: timedelta
    ) -> tuple[str, Outcome]:
        """Make the first attempt of a job in this process, by a worker's runner with this ceiling; id and outcome."""
        message = Message(new_id(), wire_name(task, self.backend), list(args), {}, headers=headers)
        keys = router.settings.signing_keys
        if keys is not None:
            keys.sign(message)
        environment = Environment(
            alias="default", registry=registry, open_store=router.store, signing_keys=keys, retry_ceiling=retry_ceiling
        )
        return message.id, Runner(self.backend, environment)(message, attempt=1)

    def waiting(self) -> timedelta | None:
        """How long until the first job is due that waits in the store; None if none does."""
        store = router.store()
        return None if store is None else store.until_due("default")

    def must_refuse(self, option: str) -> None:
        """See that the option is refused when a task is bound, in words that name it and the backend."""
        if option == "terminate":
            with pytest.raises(UnsupportedFeature, match=r"terminate=True.*refused"):
                router.cancel("nobody's", terminate=True)
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
            has_outbox=lambda: False,
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
        workers = (*self._workers, *self._elsewhere)
        return "\n".join(f"--- {worker.command.name}, last lines\n{worker.log_tail()}" for worker in workers)


def _bind(task: Task[..., Any, Any], asked: Mapping[str, Any]) -> None:
    router.bind(task.using(**asked))


def _say_nothing(_words: str) -> None: ...


def _level(text: str) -> Level:
    match text:
        case "native" | "emulated" | "refused":
            return text
    raise pytest.UsageError(f"--flip takes OPTION=LEVEL with the level native, emulated or refused, not {text!r}.")


def now() -> datetime:
    """The aware present."""
    return datetime.now(UTC)
