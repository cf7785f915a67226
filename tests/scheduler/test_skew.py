"""What older code could not run is run by the code that can."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge.errors import RedriveRefused
from taskbridge.identity import new_id
from taskbridge.message import Headers, Message
from taskbridge.process import Command, Process
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.scheduler import duties_of
from taskbridge.scheduler.skew import REST, Skew
from taskbridge.signatures import code_fingerprint, fingerprint_of
from taskbridge.store import DeadLetter, Selection, Store, TaskError
from taskbridge.testing import MemoryBackend
from taskbridge.worker import Environment, Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.services import Server

PATIENCE = timedelta(seconds=60)
DAY = timedelta(days=1)

OLD = """
from pathlib import Path
from taskbridge import task

@task
def receipt(path: str) -> None:
    Path(path, "old").touch()
"""
NEW = """
import sys
from pathlib import Path
from taskbridge import task

@task
def receipt(path: str, currency: str = "EUR") -> None:
    Path(path, f"receipt-{currency}").touch()

@task
def refund(path: str) -> None:
    Path(path, "refund").touch()
"""
PRODUCER = "import sys; from shopcode import *; receipt.enqueue(sys.argv[1], 'USD'); refund.enqueue(sys.argv[1])"


@taskbridge.task(name="skew.note")
def note(text: str, times: int = 1) -> str:
    return text * times


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    taskbridge.configure("memory://")
    backend = router.backend()
    assert isinstance(backend, MemoryBackend)
    yield backend
    router.configure(None)


@pytest.fixture
def store(backend: MemoryBackend) -> Store:
    assert backend is not None
    opened = router.store()
    assert opened is not None
    return opened


def bury(
    store: Store, task: str, *args: Any, reason: str = "unknown task", age: timedelta = timedelta(0), **more: Any
) -> str:
    message, at = Message(new_id(), task, list(args), {}, headers=Headers()), datetime.now(UTC) - age
    error = TaskError(attempt=1, at=at, exception_class_path="e", message="m", traceback="")
    letter = DeadLetter(
        id=message.id, task=task, queue_name="default", backend="default", reason=reason, buried_at=at, error=error,
        message=message, expires_at=at + 2 * DAY, **more,
    )  # fmt: skip
    store.bury(letter)
    return message.id


def on_broker(backend: MemoryBackend) -> list[str]:
    return [message.id for message in backend.jobs]


def test_what_this_code_can_run_is_enqueued_again_and_nothing_else(backend: MemoryBackend, store: Store) -> None:
    known = [bury(store, "skew.note", "a"), bury(store, "skew.note", "a", 2, reason="wrong signature")]
    bury(store, "skew.nobody-knows")
    bury(store, "skew.note", "a", "b", "c", reason="wrong signature")
    bury(store, "skew.note", "a", reason="exhausted")
    bury(store, "skew.note", "a", age=DAY + timedelta(minutes=1))
    duty = Skew("default", store, DAY)
    assert duty.beat() == REST
    assert sorted(on_broker(backend)) == sorted(known)
    assert duty.beat() == REST
    assert len(backend.jobs) == 2, "once is enough"


def test_what_dies_later_is_found_by_a_later_beat(backend: MemoryBackend, store: Store) -> None:
    duty = Skew("default", store, DAY)
    duty.beat()
    known = bury(store, "skew.note", "a")
    duty.beat()
    assert on_broker(backend) == [known]


def test_what_older_workers_take_again_and_again_is_given_back_ever_later(
    backend: MemoryBackend, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = bury(store, "skew.note", "a", redrives=5, life=5)
    ready = bury(store, "skew.note", "a", redrives=5, life=5, age=timedelta(minutes=1))
    duty = Skew("default", store, DAY)
    duty.beat()
    assert on_broker(backend) == [ready]
    bury(store, "skew.note", "a", age=timedelta(minutes=3))
    monkeypatch.setattr("taskbridge.scheduler.skew.LONGEST_PAUSE", timedelta(0))
    duty.beat()
    assert on_broker(backend) == [ready, again], "what was left for later, and nothing that was looked at"


def test_many_are_given_back_in_portions(backend: MemoryBackend, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskbridge.scheduler.skew.AT_ONCE", 2)
    ids = [bury(store, "skew.note", "a") for _ in range(3)]
    duty = Skew("default", store, DAY)
    assert duty.beat() == timedelta(0)
    assert duty.beat() == REST
    assert sorted(on_broker(backend)) == sorted(ids)


def test_each_version_of_the_code_has_its_own_duty_and_none_where_it_is_not_wanted(store: Store) -> None:
    (duty,) = [duty for duty in duties_of("default", store) if duty.name.startswith("skew")]
    assert duty.name == f"skew:default:{code_fingerprint(registry)}"
    taskbridge.configure("memory://?deploy_window=0")
    assert [duty for duty in duties_of("default", store) if duty.name.startswith("skew")] == []


def test_a_fingerprint_changes_with_the_signature_alone() -> None:
    def receipt(order: int, note: str = "a") -> None: ...

    def same(order: int, note: str = "b") -> None:
        """Other words."""

    def renamed(order_id: int, note: str = "a") -> None: ...

    def typed(order: str, note: str = "a") -> None: ...

    def wants(order: int, note: str) -> None: ...

    prints = []
    for function in (receipt, same, renamed, typed, wants):
        function.__qualname__ = f"{function.__name__}_of_skew"
        prints.append(fingerprint_of(taskbridge.task(function)))
    assert prints[0] == prints[1]
    assert len(set(prints[1:])) == 4


def test_a_message_carries_the_fingerprint_and_the_refusal_names_the_deploy(
    backend: MemoryBackend, store: Store
) -> None:
    note.enqueue("a")
    (sent,) = backend.jobs
    assert sent.headers is not None
    assert sent.headers.fingerprint == fingerprint_of(note)
    runner = Runner(backend, Environment(alias="default", registry=registry, open_store=lambda: store))
    runner(Message("skew-1", "skew.note", [1, 2, 3], {}, headers=Headers(fingerprint="another")), attempt=1)
    runner(Message("skew-2", "skew.note", [1, 2, 3], {}, headers=sent.headers), attempt=1)
    told = [letter.error.message for letter in store.letters(Selection(reason="wrong signature"))]
    assert ["another signature where it was enqueued" in text for text in told] == [True, False]


def test_a_letter_that_somebody_else_redrives_is_theirs(
    backend: MemoryBackend, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RedriveRefused("by somebody else")

    bury(store, "skew.note", "a")
    monkeypatch.setattr("taskbridge.scheduler.skew.redrive", refuse)
    assert Skew("default", store, DAY).beat() == REST
    assert backend.jobs == []


@pytest.mark.parametrize("engine", ["huey+sqlite", "celery+redis"])
def test_jobs_of_newer_code_run_when_its_workers_come(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "huey+sqlite":
        url = f"huey+sqlite:///{tmp_path}/queue.db"
    else:
        server: Server = request.getfixturevalue("redis_server")
        url = f"celery+{server.fresh_url()}"
    for version, code in (("old", OLD), ("new", NEW)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "shopcode.py").write_text(code)
    done = tmp_path / "done"
    done.mkdir()

    def worker(version: str) -> Command:
        folder = tmp_path / version
        argv = (sys.executable, "-m", "taskbridge", "worker", "-A", "shopcode")
        return Command(argv=argv, environment={"TASKBRIDGE_URL": url, "PYTHONPATH": str(folder)}, directory=folder)

    taskbridge.configure(url)
    store = router.store()
    assert store is not None
    with ExitStack() as stopping:
        stopping.callback(router.configure, None)
        with Process(worker("old"), log=tmp_path / "old.log") as old:
            old.wait_for_line("Serving", within=PATIENCE)
            produce = worker("new")
            environment = produce.full_environment()
            argv = [sys.executable, "-c", PRODUCER, str(done)]
            subprocess.run(argv, cwd=produce.directory, env=environment, check=True, timeout=60)
            old.wait_until(
                lambda: len(list(store.letters(Selection()))) == 2, within=PATIENCE, what="seen to park both"
            )
        reasons = sorted(letter.reason for letter in store.letters(Selection()))
        assert reasons == ["unknown task", "wrong signature"]
        with Process(worker("new"), log=tmp_path / "new.log") as new:
            new.wait_until(
                lambda: {path.name for path in done.iterdir()} == {"receipt-USD", "refund"},
                within=PATIENCE,
                what="seen to run both",
            )
