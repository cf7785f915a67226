"""What the relay does with rows in its way: order, poison, brokers that are down, other relays."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge.errors import EnqueueError
from taskbridge.outbox import Relay, open_outbox
from taskbridge.outbox import relay as relay_module
from taskbridge.router import router
from taskbridge.testing import MemoryBackend
from tests.outbox.connections import plain
from tests.outbox.tasks import double, note, with_a_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taskbridge.message import Message
    from taskbridge.outbox import OutboxTable

UNREACHABLE = "rq+redis://127.0.0.1:1/0"


class Picky(MemoryBackend):
    """Refuses what it is told to refuse, and with it the batch, as a broker does with a message that is too large."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: Callable[[Message], bool] = lambda message: "poison" in message.args
        self.calls: list[int] = []
        self.native: list[dict[str, Any]] = []

    def enqueue(self, messages: Sequence[Message], /) -> None:
        self.calls.append(len(messages))
        self.native += [message.native for message in messages]
        if any(map(self.refuses, messages)):
            raise EnqueueError("too large", maybe_accepted=False)
        super().enqueue(messages)


@pytest.fixture
def picky(database_url: str) -> Iterator[Picky]:
    backend = Picky()
    taskbridge.configure(backends={"default": backend, "down": UNREACHABLE}, outbox=[database_url])
    yield backend
    router.configure(None)


def put(url: str, *words: str, **options: Any) -> None:
    """Commit jobs, each in a transaction of its own."""
    with plain(url) as connection:
        for word in words:
            note.using(connection=connection, timing="outbox", **options).enqueue(word)
            connection.commit()


def words(backend: MemoryBackend) -> list[Any]:
    return [job.args[0] for job in backend.jobs]


def state(handle: taskbridge.TaskResult[Any]) -> taskbridge.DetailStatus:
    handle.refresh()
    return handle.detail_status


def beat_until(relay: Relay, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        relay.beat()


def test_rows_are_handed_on_in_their_order(
    database_url: str, outbox: OutboxTable, relay: Relay, memory: MemoryBackend
) -> None:
    put(database_url, "a", "b", "c", ordering_key="one")
    put(database_url, "d")
    relay.beat()
    assert words(memory) == ["a", "b", "c", "d"]
    assert outbox.counts() == []


def test_many_rows_take_several_beats_without_a_rest(
    database_url: str, relay: Relay, memory: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 4)
    put(database_url, *"abcdef")
    assert relay.beat() == timedelta(0)
    assert words(memory) == list("abcd")
    assert relay.beat() == relay_module.BUSY
    assert words(memory) == list("abcdef")


def test_an_idle_relay_rests_longer_and_longer_up_to_a_second(relay: Relay, memory: MemoryBackend) -> None:
    rests = [relay.beat() for _ in range(8)]
    assert rests == sorted(rests)
    assert rests[0] <= timedelta(milliseconds=100)
    assert rests[-1] == timedelta(seconds=1)


def test_a_refused_job_blocks_only_what_was_written_after_it_under_its_key(
    database_url: str, outbox: OutboxTable, relay: Relay, picky: Picky
) -> None:
    put(database_url, "first", "poison", "second", ordering_key="one")
    put(database_url, "other", ordering_key="two")
    put(database_url, "free")
    relay.beat()
    assert words(picky) == ["first", "other", "free"]
    relay.beat()
    assert words(picky) == ["first", "other", "free"], "overtaken within a key"
    (count,) = outbox.counts()
    assert (count.waiting, count.refused, count.dead) == (2, 1, 0)
    picky.refuses = lambda message: False
    beat_until(relay, lambda: len(words(picky)) == 5)
    assert words(picky)[-2:] == ["poison", "second"]


def test_a_job_that_is_refused_too_often_is_given_up_and_lets_its_key_pass(
    database_url: str, outbox: OutboxTable, relay: Relay, picky: Picky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LAST_ATTEMPT", 2)
    put(database_url, "poison", "after", ordering_key="one")
    beat_until(relay, lambda: words(picky) == ["after"])
    (dead,) = outbox.dead(10)
    assert dead.error == "EnqueueError: too large"
    picky.refuses = lambda message: False
    assert outbox.retry([dead.id]) == 1
    beat_until(relay, lambda: words(picky) == ["after", "poison"])
    assert outbox.counts() == []


def test_what_is_tried_again_is_tried_alone(database_url: str, relay: Relay, picky: Picky) -> None:
    put(database_url, "poison")
    relay.beat()
    put(database_url, *"abc")
    picky.calls.clear()
    relay.beat()
    assert words(picky) == list("abc")
    assert picky.calls[0] == 3, "one round trip for those that nobody has refused"


def test_a_row_that_cannot_be_read_is_given_up_at_once(
    database_url: str, outbox: OutboxTable, relay: Relay, memory: MemoryBackend
) -> None:
    put(database_url, "broken", "whole", ordering_key="one")
    with plain(database_url) as connection:
        connection.cursor().execute("UPDATE taskbridge_outbox SET message = '{' WHERE message LIKE '%broken%'")
        connection.commit()
    relay.beat()
    assert len(outbox.dead(10)) == 1
    beat_until(relay, lambda: words(memory) == ["whole"])


def test_a_broker_that_takes_nothing_is_left_alone_for_a_while(
    database_url: str, outbox: OutboxTable, relay: Relay, picky: Picky
) -> None:
    picky.refuses = lambda message: True
    put(database_url, *"abcdefgh")
    relay.beat()
    assert picky.calls == [8, 1, 1, 1]
    relay.beat()
    assert picky.calls == [8, 1, 1, 1]
    picky.refuses = lambda message: False
    beat_until(relay, lambda: not outbox.counts())
    assert Counter(words(picky)) == Counter("abcdefgh")


def test_an_unreachable_broker_is_no_error_for_the_caller_and_holds_up_no_other(
    database_url: str, outbox: OutboxTable, relay: Relay, picky: Picky
) -> None:
    put(database_url, "waits", backend="down")
    put(database_url, "goes")
    relay.beat()
    assert words(picky) == ["goes"]
    for _ in range(3):
        relay.beat()
    (count,) = outbox.counts()
    assert (count.backend, count.waiting, count.refused, count.dead) == ("down", 1, 0, 0)
    taskbridge.configure(backends={"default": picky, "down": picky}, outbox=[database_url])
    beat_until(relay, lambda: words(picky) == ["waits"])


def test_of_two_relays_one_works_and_the_other_follows_it(
    database_url: str, outbox: OutboxTable, memory: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 2)
    with contextlib.closing(open_outbox(database_url)) as table:
        one, other = Relay(outbox), Relay(table)
        put(database_url, *"abcd")
        one.beat()
        other.beat()
        assert words(memory) == list("ab")
        one.close()
        other.beat()
        assert words(memory) == list("abcd")
        other.close()


def test_a_result_is_recorded_when_its_job_is_sent(
    database_url: str, outbox: OutboxTable, relay: Relay, memory: MemoryBackend
) -> None:
    with plain(database_url) as connection:
        handle = double.using(connection=connection).enqueue(21)
        connection.commit()
    with pytest.raises(taskbridge.ResultTimeout, match="no relay"):
        handle.wait(timeout=timedelta(milliseconds=10))
    with pytest.raises(taskbridge.ResultUnavailable, match="transaction is not committed"):
        _ = handle.status
    relay.beat()
    handle.refresh()
    assert handle.detail_status is taskbridge.DetailStatus.QUEUED
    memory.run_all()
    assert handle.wait(timeout=timedelta(seconds=30)) == 42


@pytest.mark.parametrize("is_read", [True, False])
def test_a_job_that_is_given_up_has_failed_until_it_is_tried_again(
    database_url: str, outbox: OutboxTable, relay: Relay, picky: Picky, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    monkeypatch.setattr(relay_module, "LAST_ATTEMPT", 1)
    picky.refuses = lambda message: True
    with plain(database_url) as connection:
        handle = double.using(connection=connection, timing="outbox").enqueue(21)
        if not is_read:
            connection.cursor().execute("UPDATE taskbridge_outbox SET message = '{' || message")
        connection.commit()
    relay.beat()
    assert state(handle) is taskbridge.DetailStatus.FAILED
    with pytest.raises(taskbridge.JobFailed, match="too large" if is_read else "malformed"):
        handle.wait(timeout=timedelta(seconds=30))
    (error,) = handle.errors
    assert error.attempt == 0, "it has not begun"
    picky.refuses = lambda message: False
    with plain(database_url) as connection:
        connection.cursor().execute(
            "UPDATE taskbridge_outbox SET message = substr(message, 2) WHERE message LIKE '{{%'"
        )
        connection.commit()
    assert outbox.retry([handle.id]) == 1
    beat_until(relay, lambda: not outbox.counts())
    assert state(handle) is taskbridge.DetailStatus.QUEUED
    picky.run_all()
    assert handle.wait(timeout=timedelta(seconds=30)) == 42


def test_a_job_that_has_run_is_not_reopened_because_its_row_was_given_up_before(
    database_url: str, outbox: OutboxTable, relay: Relay, picky: Picky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LAST_ATTEMPT", 1)
    picky.refuses = lambda message: True
    with plain(database_url) as connection:
        handle = double.using(connection=connection, timing="outbox").enqueue(21)
        connection.commit()
    relay.beat()
    picky.refuses = lambda message: False
    outbox.retry()
    monkeypatch.setattr(outbox, "delete", lambda positions: None)
    relay.beat()
    picky.run_all()
    relay.beat()
    assert state(handle) is taskbridge.DetailStatus.SUCCESSFUL


def test_options_for_the_engine_that_are_no_json_are_those_that_the_task_declares(
    database_url: str, relay: Relay, picky: Picky
) -> None:
    with plain(database_url) as connection:
        with_a_class.using(connection=connection, timing="outbox").enqueue()
        connection.commit()
    relay.beat()
    assert picky.native == [{"shape": dict}]


def test_a_cancellable_job_may_be_cancelled_while_it_is_in_the_outbox(
    database_url: str, relay: Relay, memory: MemoryBackend
) -> None:
    with plain(database_url) as connection:
        handle = double.using(connection=connection, cancellable=True).enqueue(21)
        connection.commit()
    handle.cancel()
    relay.beat()
    memory.run_all()
    handle.refresh()
    assert handle.detail_status is taskbridge.DetailStatus.CANCELLED


def test_each_database_of_the_setting_has_a_relay(tmp_path: Any) -> None:
    from taskbridge.scheduler import scheduling

    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two")]
    backend = MemoryBackend()
    taskbridge.configure(backends={"default": backend}, outbox=urls)
    for url in urls:
        with contextlib.closing(open_outbox(url)) as table:
            table.create()
        put(url, url)
    with scheduling(["default"], print) as names:
        assert {f"outbox {url}" for url in urls} <= set(names)
        deadline = time.monotonic() + 30
        while len(words(backend)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert Counter(words(backend)) == Counter(urls)
    router.configure(None)
