"""A job that fails for good is kept with its reason, and no store stops a worker."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import taskbridge
from taskbridge.errors import StoreUnavailable
from taskbridge.identity import new_id
from taskbridge.message import Again, Dead, Done, Headers, Message
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.store import DetailStatus, NewRecord, Selection, Started, Store, open_store
from taskbridge.worker import Environment, Runner
from taskbridge.worker.at_most_once import start_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.store import DeadLetter


@taskbridge.task(name="dead-letters.divide")
def divide(by: int) -> float:
    return 1 / by


@taskbridge.task(name="dead-letters.once", delivery="at_most_once", result=True)
def once() -> int:
    return 1


in_the_body: list[Callable[[], object]] = []


@taskbridge.task(name="dead-letters.is-overtaken", result=True)
def is_overtaken() -> str:
    while in_the_body:
        in_the_body.pop()()
    return "of the zombie"


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def runner(store: Store) -> Iterator[Runner]:
    yield from _runner(lambda: store)


def _runner(opens: Any) -> Iterator[Runner]:
    taskbridge.configure("memory://")
    yield Runner(router.backend(), Environment(alias="default", registry=registry, open_store=opens))
    taskbridge.configure(None)


def message(task: str, *args: Any, **headers: Any) -> Message:
    return Message(new_id(), task, list(args), {}, headers=Headers(**headers) if headers else None)


def only(store: Store) -> DeadLetter:
    (letter,) = store.letters(Selection())
    return letter


def test_a_job_that_works_leaves_no_letter(runner: Runner, store: Store) -> None:
    assert runner(message("dead-letters.divide", 1), attempt=1) == Done(1.0)
    assert list(store.letters(Selection())) == []


def test_an_exhausted_job_is_kept_with_what_ended_it(runner: Runner, store: Store) -> None:
    sent = message("dead-letters.divide", 0, metadata={"tenant": 7})
    outcome = runner(sent, attempt=3, crashes=1)
    assert isinstance(outcome, Dead)
    letter = only(store)
    assert (letter.id, letter.task, letter.queue_name, letter.backend) == (sent.id, sent.task, "default", "default")
    assert (letter.reason, letter.attempts, letter.crashes, letter.message) == ("exhausted", 3, 1, sent)
    assert letter.error.exception_class_path == "builtins.ZeroDivisionError"
    assert "1 / by" in letter.error.traceback
    assert timedelta(days=29) < letter.expires_at - datetime.now(UTC) < timedelta(days=31)


def test_a_job_that_killed_its_workers_and_one_with_wrong_arguments_are_kept(runner: Runner, store: Store) -> None:
    runner(message("dead-letters.divide", 1), attempt=1, crashes=4)
    runner(message("dead-letters.divide", "one", 2), attempt=1)
    assert [letter.reason for letter in store.letters(Selection())] == ["crashed out", "wrong signature"]


def test_an_unknown_task_is_kept_and_its_result_has_failed(runner: Runner, store: Store) -> None:
    sent = message("nobody.knows", result=True)
    store.queued([NewRecord(id=sent.id, task="nobody.knows", queue_name="default", backend="default")])
    outcome = runner(sent, attempt=1)
    assert isinstance(outcome, Dead)
    assert only(store).reason == outcome.reason == "unknown task"
    record = store.read(sent.id)
    assert record is not None
    assert record.detail_status is DetailStatus.FAILED
    assert "nobody.knows" in record.errors[0].message


def test_bytes_are_kept_once_for_each_queue(runner: Runner, store: Store) -> None:
    for queue_name in ("default", "default", "other"):
        assert runner.park(b"\x80garbage", queue_name=queue_name, reason="undecodable", error=ValueError("no JSON"))
    letters = list(store.letters(Selection()))
    assert [(each.payload, each.queue_name, each.reason) for each in letters] == [
        (b"\x80garbage", "default", "undecodable"),
        (b"\x80garbage", "other", "undecodable"),
    ]
    assert letters[0].error.message == "no JSON"


@pytest.mark.parametrize(
    "argument", [{1, 2}, b"bytes", float("nan"), object(), "lone \ud800"], ids=lambda value: type(value).__name__
)
def test_a_job_of_legacy_code_whose_arguments_have_no_json_form_is_kept_without_them(
    runner: Runner, store: Store, argument: object
) -> None:
    runner(message("nobody.knows", argument), attempt=1)
    assert only(store).message is None


def test_an_id_that_no_engine_would_give_does_not_keep_a_job_from_its_grave(runner: Runner, store: Store) -> None:
    for job_id in ("x" * 5_000, "nul \x00", "lone \ud800", ""):
        runner(Message(job_id, "nobody.knows", [], {}), attempt=1)
    letters = list(store.letters(Selection()))
    assert len({letter.id for letter in letters}) == 4
    assert all(letter.id.startswith("raw-") for letter in letters)


def _broken() -> Store:
    raise StoreUnavailable("the store is down")


@pytest.mark.parametrize("opens", [lambda: None, _broken], ids=["no store", "a store that is down"])
def test_without_a_store_a_job_dies_as_its_engine_has_it(opens: Any, caplog: pytest.LogCaptureFixture) -> None:
    for runner in _runner(opens):
        with caplog.at_level(logging.ERROR, "taskbridge.dead"):
            assert isinstance(runner(message("dead-letters.divide", 0), attempt=1), Dead)
            assert isinstance(runner(message("nobody.knows"), attempt=1), Dead)
            assert not runner.park(b"x", queue_name="default", reason="undecodable", error=ValueError("no"))
        assert [record.message.split(":")[-1].strip() for record in caplog.records if record.name == "taskbridge.dead"]


def test_who_wants_no_letters_gets_none_and_is_told_to_keep_the_bytes(store: Store) -> None:
    taskbridge.configure("memory://")
    environment = Environment(alias="default", registry=registry, open_store=lambda: store, dead_ttl=timedelta(0))
    runner = Runner(router.backend(), environment)
    assert isinstance(runner(message("dead-letters.divide", 0), attempt=1), Dead)
    assert not runner.park(b"x", queue_name="default", reason="undecodable", error=ValueError("no"))
    assert list(store.letters(Selection(state=None))) == []


def test_a_job_that_has_started_is_not_started_again(runner: Runner, store: Store) -> None:
    sent = message("dead-letters.once")
    assert runner(sent, attempt=1) == Done(1)
    again = runner(sent, attempt=1, crashes=1)
    assert isinstance(again, Dead)
    assert only(store).reason == again.reason == "at most once"
    # What the first execution recorded stands.
    record = store.read(sent.id)
    assert record is not None
    assert record.detail_status is DetailStatus.SUCCESSFUL


def test_what_was_taken_for_dead_may_still_say_how_its_only_start_ended(runner: Runner, store: Store) -> None:
    sent = message("dead-letters.is-overtaken", at_most_once=True)
    in_the_body.append(lambda: runner(sent, attempt=1, crashes=1))
    assert runner(sent, attempt=1) == Done("of the zombie")
    assert only(store).reason == "at most once"
    record = store.read(sent.id)
    assert record is not None
    assert record.value == "of the zombie"


def test_one_call_may_ask_for_at_most_once(runner: Runner) -> None:
    sent = message("dead-letters.divide", 1, at_most_once=True)
    assert runner(sent, attempt=1) == Done(1.0)
    assert isinstance(runner(sent, attempt=1), Dead)
    assert runner(message("dead-letters.divide", 1, at_most_once=True), attempt=1) == Done(1.0)


def test_a_redrive_may_start_once_more(runner: Runner) -> None:
    sent = message("dead-letters.once")
    assert runner(sent, attempt=1) == Done(1)
    sent.headers = Headers(redrives=1)
    assert runner(sent, attempt=1) == Done(1)
    assert isinstance(runner(sent, attempt=1), Dead)


@pytest.mark.parametrize("opens", [lambda: None, _broken], ids=["no store", "a store that is down"])
def test_a_job_whose_start_cannot_be_claimed_waits(opens: Any) -> None:
    for runner in _runner(opens):
        outcome = runner(message("dead-letters.divide", 1, at_most_once=True), attempt=1)
        assert isinstance(outcome, Again)
        assert timedelta(0) < outcome.delay < timedelta(minutes=1)


def test_a_claim_is_of_one_job(store: Store, runner: Runner) -> None:
    sent = message("dead-letters.once")
    assert store.acquire(start_name(sent.id, 0), holder="another execution", span=timedelta(minutes=1)) is not None
    assert isinstance(runner(sent, attempt=1), Dead)
    assert runner(message("dead-letters.once"), attempt=1) == Done(1)


def test_a_zombie_does_not_record_what_its_replacement_has_begun(runner: Runner, store: Store) -> None:
    sent = message("dead-letters.is-overtaken")
    job = NewRecord(id=sent.id, task=sent.task, queue_name="default", backend="default")
    in_the_body.append(lambda: store.record(job, Started(attempt=1, crashes=1, at=datetime.now(UTC))))
    assert runner(sent, attempt=1) == Done("of the zombie")
    record = store.read(sent.id)
    assert record is not None
    assert (record.detail_status, record.value) == (DetailStatus.RUNNING, msgspec.UNSET)
    assert runner(sent, attempt=1, crashes=1) == Done("of the zombie")
    record = store.read(sent.id)
    assert record is not None
    assert record.detail_status is DetailStatus.SUCCESSFUL


def test_the_time_that_a_letter_is_kept_is_an_option_of_every_url() -> None:
    taskbridge.configure("memory://?dead_ttl=60")
    assert router.backend_settings("default").dead_ttl == timedelta(minutes=1)
    taskbridge.configure("memory://")
    assert router.backend_settings("default").dead_ttl == timedelta(days=30)
