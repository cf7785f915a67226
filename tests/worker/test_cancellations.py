"""A job that was cancelled is not started, and one that runs can see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge import Cancellation
from taskbridge.cancellation import cancel
from taskbridge.context import Context
from taskbridge.errors import StoreUnavailable, UnsupportedFeature
from taskbridge.identity import new_id
from taskbridge.message import Again, Cancelled, Done, Headers, Message
from taskbridge.redrive import redrive
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.store import DetailStatus, NewRecord, Selection, Store, open_store
from taskbridge.worker import Environment, Runner, cancellations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

in_the_body: list[Callable[[Context], object]] = []


@taskbridge.task(name="cancel.with-result", result=True, takes_context=True, retry=taskbridge.Retry(3, on=(Exception,)))
def with_result(context: Context) -> str:
    while in_the_body:
        in_the_body.pop()(context)
    return "done"


@taskbridge.task(name="cancel.cancellable", cancellable=True, takes_context=True)
def cancellable(context: Context) -> str:
    while in_the_body:
        in_the_body.pop()(context)
    return "done"


@taskbridge.task(name="cancel.plain")
def plain() -> str:
    return "done"


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self.store, name)


@pytest.fixture
def store() -> Store:
    in_the_body.clear()
    return open_store("memory://")


@pytest.fixture
def runner(store: Store) -> Iterator[Runner]:
    taskbridge.configure("memory://")
    yield Runner(router.backend(), Environment(alias="default", registry=registry, open_store=lambda: store))
    router.configure(None)


def queued(store: Store, task: str, **headers: Any) -> Message:
    sent = Message(new_id(), task, [], {}, headers=Headers(enqueued_at=datetime.now(UTC), **headers))
    if sent.headers is not None and sent.headers.result:
        store.queued([NewRecord(id=sent.id, task=task, queue_name="default", backend="default")])
    return sent


def cancels(store: Store, message: Message) -> Cancellation:
    return cancel(message.id, "default", backend=router.backend(), store=store, ttl=timedelta(days=1))


@pytest.mark.parametrize("crashes", [0, 1])
def test_a_queued_job_with_a_result_does_not_start(runner: Runner, store: Store, crashes: int) -> None:
    sent = queued(store, "cancel.with-result", result=True)
    assert cancels(store, sent) is Cancellation.WILL_NOT_START
    assert cancels(store, sent) is Cancellation.WILL_NOT_START
    assert runner(sent, attempt=1, crashes=crashes) == Cancelled()
    record = store.read(sent.id)
    assert record is not None
    assert (record.detail_status, record.attempts) == (DetailStatus.CANCELLED, 0)


def test_a_retrying_job_does_not_start_again(runner: Runner, store: Store) -> None:
    def fails(_: Context) -> None:
        raise ConnectionError

    sent = queued(store, "cancel.with-result", result=True)
    in_the_body.append(fails)
    assert isinstance(runner(sent, attempt=1), Again)
    assert cancels(store, sent) is Cancellation.WILL_NOT_START
    assert runner(sent, attempt=2) == Cancelled()


def test_a_running_job_is_asked_and_gets_no_further_attempt(runner: Runner, store: Store) -> None:
    answers: list[object] = []

    def is_cancelled_and_fails(context: Context) -> None:
        answers.append(cancels(store, sent))
        raise ConnectionError

    sent = queued(store, "cancel.with-result", result=True)
    in_the_body.append(is_cancelled_and_fails)
    assert runner(sent, attempt=1) == Cancelled()
    assert answers == [Cancellation.ASKED]
    record = store.read(sent.id)
    assert record is not None
    assert record.detail_status is DetailStatus.CANCELLED
    assert cancels(store, sent) is Cancellation.WILL_NOT_START


def test_a_running_job_that_does_not_look_comes_to_its_end(runner: Runner, store: Store) -> None:
    sent = queued(store, "cancel.with-result", result=True)
    in_the_body.append(lambda _: cancels(store, sent))
    assert runner(sent, attempt=1) == Done("done")
    assert cancels(store, sent) is Cancellation.ALREADY_FINISHED


@pytest.mark.parametrize("task", ["cancel.with-result", "cancel.cancellable"])
def test_a_running_job_can_end_itself(runner: Runner, store: Store, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellations, "ASKED_EVERY", 0.0)
    seen: list[bool] = []
    sent = queued(store, task, result=task == "cancel.with-result")
    in_the_body.append(lambda context: context.raise_if_cancelled())
    in_the_body.append(lambda context: seen.append(context.cancelled))
    in_the_body.append(lambda _: cancels(store, sent))
    assert runner(sent, attempt=1) == Cancelled()
    assert seen == [True]
    record = store.read(sent.id)
    assert (record and record.detail_status) == (DetailStatus.CANCELLED if "result" in task else None)


@pytest.mark.usefixtures("runner")
def test_a_task_may_ask_in_every_turn_of_a_loop(store: Store) -> None:
    counting = Counting(store)
    looped = Runner(router.backend(), Environment(alias="a", registry=registry, open_store=lambda: counting))
    in_the_body.append(lambda context: [context.cancelled for _ in range(1000)])
    assert looped(queued(store, "cancel.cancellable"), attempt=1) == Done("done")
    assert counting.asked.count("is_asked_to_cancel") < 100


def test_a_cancellable_job_without_a_result_does_not_start(runner: Runner, store: Store) -> None:
    declared, asked = queued(store, "cancel.cancellable"), queued(store, "cancel.plain", cancellable=True)
    for sent in (declared, asked):
        assert cancels(store, sent) is Cancellation.UNKNOWN
        assert runner(sent, attempt=1) == Cancelled()


@pytest.mark.usefixtures("runner")
def test_a_job_that_is_not_cancellable_asks_nothing(store: Store) -> None:
    counting = Counting(store)
    run = Runner(router.backend(), Environment(alias="a", registry=registry, open_store=lambda: counting))
    assert run(queued(store, "cancel.plain"), attempt=1) == Done("done")
    assert counting.asked == []
    run(queued(store, "cancel.with-result", result=True), attempt=1)
    assert counting.asked == ["record", "record"], "its start is refused if it was cancelled"


def test_a_store_that_is_down_cancels_nothing() -> None:
    def down() -> Store:
        raise StoreUnavailable("down")

    taskbridge.configure("memory://")
    runner = Runner(router.backend(), Environment(alias="default", registry=registry, open_store=down))
    assert runner(Message(new_id(), "cancel.cancellable", [], {}, headers=Headers()), attempt=1) == Done("done")
    router.configure(None)


def test_a_dead_job_that_was_cancelled_runs_when_it_is_redriven(runner: Runner, store: Store) -> None:
    def fails(_: Context) -> None:
        cancels(store, sent)
        raise KeyError

    sent = queued(store, "cancel.cancellable")
    in_the_body.append(fails)
    runner(sent, attempt=1)
    assert [letter.id for letter in store.letters(Selection())] == [sent.id]
    redrive(sent.id, store)
    assert runner(sent, attempt=1) == Done("done")


@pytest.mark.usefixtures("runner")
def test_a_handle_says_what_came_of_it_or_why_it_cannot() -> None:
    assert cancellable.enqueue().cancel() is Cancellation.ASKED
    handle = with_result.using(run_after=timedelta(hours=1)).enqueue()
    assert handle.cancel() is Cancellation.WILL_NOT_START
    assert handle.detail_status is DetailStatus.CANCELLED
    assert with_result.get_result("nobody's").cancel() is Cancellation.UNKNOWN
    with pytest.raises(UnsupportedFeature, match="cancellable=True"):
        plain.enqueue().cancel()


def test_without_a_store_the_backend_says_why_not() -> None:
    taskbridge.configure("celery+amqp://127.0.0.1:1//")
    with pytest.raises(UnsupportedFeature, match=r"revoke.*store="):
        cancellable.enqueue()
    with pytest.raises(UnsupportedFeature, match=r"revoke.*store="):
        plain.get_result("1").cancel()
    router.configure(None)
