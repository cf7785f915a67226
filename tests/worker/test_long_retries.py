"""A next attempt that is due too late for the backend is kept in the store, once, whatever dies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge.errors import StoreUnavailable
from taskbridge.identity import new_id
from taskbridge.message import Again, Dead, Done, Headers, Message
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.signing import KeyRing
from taskbridge.store import Store, open_store
from taskbridge.worker import Environment, Runner, long_retries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.store import Claimed

CEILING, HOUR = timedelta(minutes=1), timedelta(hours=1)
failing: list[bool] = []
LONG = taskbridge.Retry(3, delay=HOUR, max_delay=HOUR, jitter=False, on=(Exception,))


@taskbridge.task(name="long-retries.fails", retry=LONG)
def fails(place: str) -> str:
    if failing:
        raise ConnectionError
    return place


@taskbridge.task(name="long-retries.soon", retry=taskbridge.Retry(3, delay=CEILING, jitter=False, on=(Exception,)))
def fails_soon() -> None:
    raise ConnectionError


@pytest.fixture
def store() -> Store:
    failing[:] = [True]
    return open_store("memory://")


@pytest.fixture
def runner(store: Store) -> Iterator[Runner]:
    yield running(store)
    router.configure(None)


def running(store: Any) -> Runner:
    taskbridge.configure("memory://")
    environment = Environment(alias="a", registry=registry, open_store=lambda: store, retry_ceiling=CEILING)
    return Runner(router.backend(), environment)


def job(task: str = "long-retries.fails", *args: Any, **headers: Any) -> Message:
    return Message(new_id(), task, list(args or ("here",)), {}, "slow", 7, headers=Headers(**headers))


def kept(store: Store) -> Claimed:
    """What waits in the store, as if it were due."""
    left = store.until_due("a")
    if left is None:
        return store.claim_due("a", limit=9, span=timedelta(0))
    assert left > timedelta(minutes=59)
    held: Any = store
    held._held = {key: (0, text) for key, (_, text) in held._held.items()}
    return store.claim_due("a", limit=9, span=timedelta(hours=1))


def test_it_is_kept_with_everything_but_its_time_and_the_attempts_number(runner: Runner, store: Store) -> None:
    sent = job(metadata={"tenant": 7}, expires=datetime(2040, 1, 1, tzinfo=UTC))
    outcome = runner(sent, attempt=1)
    assert isinstance(outcome, Again)
    assert outcome.is_held
    (message,) = kept(store).messages
    assert message.run_after is not None
    assert timedelta(minutes=59) < message.run_after - datetime.now(UTC) <= timedelta(hours=1)
    assert message.headers is not None
    assert message.headers.attempt == 2
    message.run_after, message.headers.attempt = None, 1
    assert message == sent


def test_a_delay_that_the_backend_holds_and_a_native_job_stay_with_the_backend(runner: Runner, store: Store) -> None:
    native = job()
    native.headers = None
    for sent in (Message(new_id(), "long-retries.soon", [], {}, headers=Headers()), native):
        outcome = runner(sent, attempt=1)
        assert isinstance(outcome, Again)
        assert not outcome.is_held
    assert store.until_due("a") is None


def test_an_execution_after_a_crash_takes_back_what_the_one_before_it_kept(runner: Runner, store: Store) -> None:
    sent = job()
    runner(sent, attempt=1)
    failing.clear()
    assert runner(sent, attempt=1, crashes=1) == Done("here")
    assert store.until_due("a") is None


def test_crashes_before_a_wait_count_against_the_budget_after_it(runner: Runner, store: Store) -> None:
    sent = job()
    runner(sent, attempt=1, crashes=2)
    (again,) = kept(store).messages
    assert again.headers is not None
    assert again.headers.crashes == 2
    outcome = runner(again, attempt=2, crashes=1)
    assert isinstance(outcome, Again), "three in all, which is the budget"
    (last,) = kept(store).messages
    assert last.headers is not None
    assert last.headers.crashes == 3, "counted once each, whoever counted them"
    failing.clear()
    dead = runner(last, attempt=3, crashes=1)
    assert isinstance(dead, Dead)
    assert dead.reason == "crashed out"
    assert runner(last, attempt=3) == Done("here")


def test_crashes_before_a_wait_are_no_sign_of_a_redelivery_after_it(runner: Runner, store: Store) -> None:
    sent = job(crashes=1)
    runner(sent, attempt=2)
    failing.clear()
    assert runner(sent, attempt=2) == Done("here")
    assert store.until_due("a") is not None, "nobody was asked to take it back, which costs a round trip"


def test_a_signature_holds_after_a_wait_with_crashes() -> None:
    keys = KeyRing.of(["k1:" + "s" * 32], accepts_unsigned=False, origin="here")
    assert keys is not None
    sent = job()
    keys.sign(sent)
    assert sent.headers is not None
    sent.headers.attempt, sent.headers.crashes = 2, 3
    keys.check(sent)


def test_a_redelivery_that_nobody_counts_replaces_what_was_kept(runner: Runner, store: Store) -> None:
    sent = job()
    runner(sent, attempt=1)
    runner(sent, attempt=1)
    assert [message.id for message in kept(store).messages] == [sent.id]


class Faulty:
    """A store that does not keep a job until it has been asked so many times."""

    def __init__(self, store: Store, times: int) -> None:
        self.store = store
        self.left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def hold(self, *arguments: Any) -> None:
        self.left -= 1
        if self.left >= 0:
            raise StoreUnavailable("down")
        self.store.hold(*arguments)


@pytest.mark.parametrize(("times", "is_held"), [(2, True), (1000, False)])
def test_a_store_that_is_down_is_asked_again_and_then_the_backend_has_to_hold_it(
    store: Store, times: int, is_held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_retries, "_PAUSES", (0.01, 0.01, 0.01))
    outcome = running(Faulty(store, times))(job(), attempt=1)
    assert isinstance(outcome, Again)
    assert outcome.is_held is is_held
    assert (store.until_due("a") is not None) is is_held
    router.configure(None)


def test_a_job_that_is_kept_can_be_cancelled(runner: Runner, store: Store) -> None:
    sent = job()
    runner(sent, attempt=1)
    assert store.withdraw("a", [sent.id]) == 1
    assert store.until_due("a") is None
