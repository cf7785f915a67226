"""What a key stands for is done once: by the middleware, on every kind of store and with real processes that die."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge.context import Context
from taskbridge.errors import StoreUnavailable
from taskbridge.identity import new_id
from taskbridge.message import Again, Cancelled, Dead, Done, Headers, Message, Skipped
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.store import DetailStatus, NewRecord, Store, Withdrawn, open_store
from taskbridge.testing.memory import MemoryBackend
from taskbridge.worker import Environment, Runner, key_end, key_keeper
from taskbridge.worker.effectively_once import key_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.message import Outcome

ROOT = Path(__file__).parents[2]

in_the_body: list[Callable[[], object]] = []
tokens: list[int | None] = []


@taskbridge.task(
    name="once.receipt",
    delivery="effectively_once",
    key="receipt:{order_id}",
    result=True,
    retry=taskbridge.Retry(3, delay=timedelta(0), on=(Exception,)),
    takes_context=True,
)
def receipt(context: Context, order_id: int, note: str = "") -> str:
    tokens.append(context.fencing_token)
    while in_the_body:
        in_the_body.pop()()
    return f"{order_id} at attempt {context.attempt} {note}".strip()


@taskbridge.task(name="once.other", delivery="effectively_once", key="receipt:{order_id}")
def other(order_id: int) -> int:
    return order_id


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def runner(store: Store) -> Iterator[Runner]:
    in_the_body.clear()
    tokens.clear()
    yield from _runner(lambda: store)


def _runner(opens: Any) -> Iterator[Runner]:
    taskbridge.configure("memory://")
    yield Runner(router.backend(), Environment(alias="default", registry=registry, open_store=opens))
    router.configure(None)


def job(order_id: int, *, task: str = "once.receipt", **headers: Any) -> Message:
    sent = Headers(key=f"receipt:{order_id}", enqueued_at=datetime.now(UTC), **headers)
    return Message(new_id(), task, [order_id], {}, headers=sent)


def fails() -> None:
    raise ConnectionError


def test_the_second_delivery_is_skipped_and_counted(
    runner: Runner, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    sent = job(1)
    assert runner(sent, attempt=1) == Done("1 at attempt 1")
    with caplog.at_level(logging.INFO, "taskbridge.attempt"):
        assert runner(sent, attempt=1) == Skipped(sent.id)
        assert runner(sent, attempt=2, crashes=1) == Skipped(sent.id)
    assert "delivery number 2 that is skipped" in caplog.text
    key = store.read_key(key_name("once.receipt", "receipt:1"))
    assert key is not None
    assert (key.skipped, key.job, len(tokens)) == (2, sent.id, 1)
    record = store.read(sent.id)
    assert record is not None
    assert (record.detail_status, record.value) == (DetailStatus.SUCCESSFUL, "1 at attempt 1")


def test_another_job_of_the_same_key_is_skipped_and_has_the_value_of_the_first(runner: Runner, store: Store) -> None:
    first, second = job(1), job(1)
    runner(first, attempt=1)
    assert runner(second, attempt=1) == Skipped(first.id)
    handle = receipt.get_result(second.id)
    record = store.read(second.id)
    assert record is not None
    assert (record.detail_status, record.status.value, record.value) == (
        DetailStatus.SKIPPED, "SUCCESSFUL", "1 at attempt 1",
    )  # fmt: skip
    assert handle.id == second.id
    assert runner(second, attempt=2) == Skipped(first.id)
    assert runner(job(2), attempt=1) == Done("2 at attempt 1")


def test_keys_of_two_tasks_have_nothing_to_do_with_each_other(runner: Runner) -> None:
    assert runner(job(1), attempt=1) == Done("1 at attempt 1")
    assert runner(job(1, task="once.other"), attempt=1) == Done(1)


def test_a_failed_attempt_gives_the_key_back_for_its_retry(runner: Runner) -> None:
    sent = job(1)
    in_the_body.append(fails)
    assert isinstance(runner(sent, attempt=1), Again)
    in_the_body.append(fails)
    assert isinstance(runner(sent, attempt=2), Again)
    assert runner(sent, attempt=3) == Done("1 at attempt 3")
    assert sorted(set(tokens), key=lambda token: token or 0) == tokens, "each claim has a larger token"


def test_a_job_that_fails_for_good_leaves_the_key_to_another(runner: Runner) -> None:
    in_the_body.append(fails)
    assert isinstance(runner(job(1), attempt=3), Dead)
    assert runner(job(1), attempt=1) == Done("1 at attempt 1")


def test_who_finds_the_key_held_waits_without_losing_an_attempt(runner: Runner, store: Store) -> None:
    waiting: list[Outcome] = []
    first, second = job(1), job(1)
    in_the_body.append(fails)
    in_the_body.append(lambda: waiting.append(runner(second, attempt=1)))
    assert isinstance(runner(first, attempt=1), Again)
    assert runner(second, attempt=1) == Done("1 at attempt 1")
    in_the_body.append(lambda: waiting.extend(runner(third, attempt=attempt) for attempt in (1, 2)))
    third = job(2)
    assert runner(job(2), attempt=3) == Done("2 at attempt 3")
    assert [type(outcome) for outcome in waiting] == [Again, Again, Again]
    key = store.read_key(key_name("once.receipt", "receipt:2"))
    assert key is not None
    assert store.forget_key(key.name)
    assert runner(third, attempt=3) == Done("2 at attempt 1"), "its two waits were no attempts"


def test_an_interrupted_execution_gives_the_key_back(runner: Runner) -> None:
    def interrupts() -> None:
        raise KeyboardInterrupt

    in_the_body.append(interrupts)
    sent = job(1)
    with pytest.raises(KeyboardInterrupt):
        runner(sent, attempt=1)
    assert runner(sent, attempt=1) == Done("1 at attempt 1")


def test_a_holder_that_has_lost_its_key_cannot_record_that_it_is_done(
    runner: Runner, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    name = key_name("once.receipt", "receipt:1")

    def is_overtaken() -> None:
        held = store.read_key(name)
        assert held is not None
        store.release_key(held)
        store.claim_key(name, job="the next", holder="b", span=timedelta(minutes=1), waits="none")

    in_the_body.append(is_overtaken)
    assert isinstance(runner(job(1), attempt=1), Done)
    assert "was lost to another execution" in caplog.text
    key = store.read_key(name)
    assert key is not None
    assert (key.job, key.done_at) == ("the next", None)


def test_an_execution_that_another_of_its_job_has_overtaken_records_nothing(
    runner: Runner, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    sent = job(1)

    def is_overtaken() -> None:
        held = store.read_key(key_name("once.receipt", "receipt:1"))
        assert held is not None
        store.release_key(held)
        store.claim_key(held.name, job=sent.id, holder="b", span=timedelta(minutes=1), waits="none")

    in_the_body.append(is_overtaken)
    assert isinstance(runner(sent, attempt=1), Done)
    assert "was lost to another execution" in caplog.text
    record = store.read(sent.id)
    assert record is not None
    assert record.detail_status is DetailStatus.RUNNING


def test_the_result_of_a_job_that_another_job_has_overtaken_is_its_own(runner: Runner, store: Store) -> None:
    sent, other_sent = job(1), job(1)

    def is_overtaken() -> None:
        held = store.read_key(key_name("once.receipt", "receipt:1"))
        assert held is not None
        store.release_key(held)
        assert isinstance(runner(other_sent, attempt=1), Done)

    in_the_body.append(is_overtaken)
    assert isinstance(runner(sent, attempt=1), Done)
    key = store.read_key(key_name("once.receipt", "receipt:1"))
    assert key is not None
    assert key.job == other_sent.id
    for each in (sent, other_sent):
        record = store.read(each.id)
        assert record is not None
        assert record.detail_status is DetailStatus.SUCCESSFUL


def test_a_long_execution_keeps_its_key(runner: Runner, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = threading.Event()
    renew = store.renew_keys

    def notes(keys: Any, *, span: timedelta) -> frozenset[str]:
        held = renew(keys, span=span)
        if held:
            renewed.set()
        return held

    monkeypatch.setattr(store, "renew_keys", notes)
    monkeypatch.setattr(key_keeper, "RENEWED_EVERY", timedelta(milliseconds=20))
    monkeypatch.setattr(key_keeper._the_keeper, "_made", None)
    in_the_body.append(lambda: renewed.wait(30))
    assert runner(job(1), attempt=1) == Done("1 at attempt 1")
    assert renewed.is_set()


def test_a_job_from_before_its_task_had_a_key_and_one_of_legacy_code_have_it_too(runner: Runner) -> None:
    for headers in (None, Headers()):
        order_id = 5 if headers is None else 6
        copies = [Message(new_id(), "once.other", [order_id], {}, headers=headers) for _ in range(2)]
        assert runner(copies[0], attempt=1) == Done(order_id)
        assert runner(copies[1], attempt=1) == Skipped(copies[0].id)
    unfit = Message(new_id(), "once.other", ["x", "y"], {})
    outcome = runner(unfit, attempt=1)
    assert isinstance(outcome, Dead)
    assert outcome.reason == "wrong signature"


def _broken() -> Store:
    raise StoreUnavailable("down")


@pytest.mark.parametrize("opens", [lambda: None, _broken], ids=["no store", "a store that is down"])
def test_a_job_whose_key_cannot_be_asked_for_waits(opens: Any) -> None:
    for runner in _runner(opens):
        assert isinstance(runner(job(1), attempt=1), Again)


def test_a_completion_that_the_store_does_not_take_at_once_is_repeated(
    runner: Runner, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete, failures = store.complete_key, [StoreUnavailable("restarting")] * 2

    def is_slow_to_take(*args: Any, **options: Any) -> bool:
        if failures:
            raise failures.pop()
        return complete(*args, **options)

    monkeypatch.setattr(store, "complete_key", is_slow_to_take)
    sent = job(1)
    runner(sent, attempt=1)
    assert runner(sent, attempt=1) == Skipped(sent.id)


def test_a_result_that_the_store_never_takes_leaves_the_key_done(
    runner: Runner, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def is_too_long(*_: Any, **_options: Any) -> tuple[bool, bool]:
        raise StoreUnavailable("longer than a value may be")

    monkeypatch.setattr(store, "end_with_key", is_too_long)
    monkeypatch.setattr(key_end, "_PAUSES", (0.0, 0.0))
    sent = job(1)
    assert isinstance(runner(sent, attempt=1), Done)
    assert "did not take Succeeded" in caplog.text
    assert runner(sent, attempt=1) == Skipped(sent.id)


def test_a_cancelled_job_gives_its_key_back_unstarted(runner: Runner, store: Store) -> None:
    sent = job(1)
    new = NewRecord(id=sent.id, task="once.receipt", queue_name="default", backend="default")
    assert store.record(new, Withdrawn(at=datetime.now(UTC)))
    assert runner(sent, attempt=1) == Cancelled()
    assert tokens == []
    assert store.read_key(key_name("once.receipt", "receipt:1")) is None


def test_a_broker_that_delivers_everything_twice_has_it_done_once() -> None:
    taskbridge.configure("memory://")
    backend = router.backend()
    assert isinstance(backend, MemoryBackend)
    backend.delivers_twice = True
    tokens.clear()
    try:
        handle = receipt.enqueue(8, note="twice")
        again = receipt.enqueue(order_id=8)
        assert backend.run_all() == 4
        assert len(tokens) == 1
        assert handle.wait() == again.wait() == "8 at attempt 1 twice"
        assert again.detail_status is DetailStatus.SKIPPED
    finally:
        router.configure(None)


def test_the_key_of_a_killed_execution_is_taken_over_with_a_larger_token(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    code = (
        "import os, sys, time, datetime\n"
        "from taskbridge.store import open_store\n"
        "from taskbridge.worker.key_keeper import kept_alive\n"
        "store = open_store(sys.argv[1])\n"
        "span = datetime.timedelta(seconds=3)\n"
        "key = store.claim_key('once.receipt:receipt:1', job='j', holder='h', span=span, waits='none')\n"
        "with kept_alive(store, key):\n"
        "    print(key.token, flush=True)\n"
        "    time.sleep(60)\n"
    )
    store = open_store(url)
    with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        try:
            assert holder.stdout is not None
            token = int(holder.stdout.readline())
        finally:
            holder.kill()
    for runner in _runner(lambda: store):
        sent, attempt, seen = job(1), 1, 0
        tokens.clear()
        deadline = datetime.now(UTC) + timedelta(seconds=60)
        outcome = runner(sent, attempt=1)
        while isinstance(outcome, Again) and datetime.now(UTC) < deadline:
            threading.Event().wait(outcome.delay.total_seconds())
            attempt, seen = attempt + 1, seen + 1
            outcome = runner(sent, attempt=attempt, crashes=1)
        assert outcome == Done("1 at attempt 1")
        assert tokens[0] is not None
        assert tokens[0] > token
    store.close()
