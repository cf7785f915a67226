"""What a key costs, counted: commands on the wire to a real server, transactions of a SQLite file."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge.identity import new_id
from taskbridge.message import Again, Done, Headers, Message, Skipped
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.store import DetailStatus, Store, open_store
from taskbridge.store.database import OwnDatabase
from taskbridge.worker import Environment, Runner, key_keeper
from taskbridge.worker.effectively_once import key_name
from taskbridge_compare.bench import wire
from taskbridge_compare.bench.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RETRIES = taskbridge.Retry(3, delay=timedelta(0), on=(ConnectionError,))


def fails_below_zero(number: int) -> int:
    if number < 0:
        raise ConnectionError
    return number


@taskbridge.task(retry=RETRIES)
def counted_plain(number: int) -> int:
    return fails_below_zero(number)


@taskbridge.task(retry=RETRIES, delivery="effectively_once", key="{number}")
def counted_with_key(number: int) -> int:
    return fails_below_zero(number)


@taskbridge.task(retry=RETRIES, result=True)
def counted_with_result(number: int) -> int:
    return fails_below_zero(number)


@taskbridge.task(retry=RETRIES, result=True, delivery="effectively_once", key="{number}")
def counted_with_both(number: int) -> int:
    return fails_below_zero(number)


TASKS = PLAIN, WITH_KEY, WITH_RESULT, WITH_BOTH = (
    counted_plain,
    counted_with_key,
    counted_with_result,
    counted_with_both,
)


class Counted:
    """A worker's runner, and how often it asks its store while it runs a job."""

    def __init__(self, store: Store, counting: Callable[[], Any]) -> None:
        self.store = store
        self._counting = counting
        self._run = Runner(router.backend(), Environment(alias="default", registry=registry, open_store=lambda: store))
        for task in TASKS:  # tables are made, and a server is given its scripts
            for number in (0, -1):
                self._run(job(task, number), attempt=1)

    def __call__(self, message: Message, *, attempt: int = 1) -> tuple[object, int]:
        with self._counting() as counts:
            outcome = self._run(message, attempt=attempt)
        return outcome, counts.total()


@pytest.fixture(scope="module", autouse=True)
def _no_renewals() -> Iterator[None]:
    """A key that is held at a fifth second is renewed, which is a command more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_keeper, "RENEWED_EVERY", timedelta(hours=1))
        patch.setattr(key_keeper._the_keeper, "_made", None)
        yield


@pytest.fixture(params=["redis", "postgresql", "sqlite"])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counted]:
    configured = router.configured
    taskbridge.configure("memory://")
    try:
        yield from _counted(request, tmp_path)
    finally:
        router.configure(configured)


def _counted(request: pytest.FixtureRequest, folder: Path) -> Iterator[Counted]:
    if request.param == "sqlite":
        store = open_store(f"sqlite:///{folder}/store.db")
        yield Counted(store, _transactions)
        store.close()
        return
    is_redis = request.param == "redis"
    names = wire.redis_commands if is_redis else wire.postgres_statements
    with Meter(request.getfixturevalue("redis_url" if is_redis else "postgres_url")) as meter:
        store = open_store(meter.url)

        @contextmanager
        def commands() -> Iterator[Counter[str]]:
            counts: Counter[str] = Counter()
            meter.reset()
            yield counts
            counts += names(meter.read()[1])

        yield Counted(store, commands)
        store.close()


@contextmanager
def _transactions() -> Iterator[Counter[str]]:
    counts: Counter[str] = Counter()
    run = OwnDatabase.run

    def counting(self: OwnDatabase, work: Any, /) -> Any:
        counts["transaction"] += 1
        return run(self, work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OwnDatabase, "run", counting)
        yield counts


def job(task: Any, number: int) -> Message:
    key = str(number) if task.options.key else ""
    return Message(new_id(), task.name, [number], {}, headers=Headers(key=key, enqueued_at=datetime.now(UTC)))


def test_a_key_costs_a_job_with_a_result_nothing_and_another_job_two_writes(counted: Counted) -> None:
    assert [counted(job(task, 1)) for task in TASKS] == [
        (Done(1), 0),
        (Done(1), 2),
        (Done(1), 2),
        (Done(1), 2),
    ]
    failed = {task.name: counted(job(task, -1)) for task in (WITH_RESULT, WITH_BOTH)}
    assert {type(outcome) for outcome, _ in failed.values()} == {Again}
    assert len({count for _, count in failed.values()}) == 1, "the key is given back with the record of the failure"


def test_what_is_skipped_costs_one_question_and_the_result_of_another_job_two_more(counted: Counted) -> None:
    for task, count in ((WITH_BOTH, 3), (WITH_KEY, 1)):
        sent = job(task, 2)
        counted(sent)
        assert counted(sent) == (Skipped(sent.id), 1)
        assert counted(job(task, 2)) == (Skipped(sent.id), count)


def test_the_start_of_a_job_that_has_waited_for_its_key_is_a_write_of_its_own(counted: Counted) -> None:
    sent, minute = job(WITH_BOTH, 3), timedelta(minutes=1)
    name = key_name(WITH_BOTH.name, "3")
    held = counted.store.claim_key(name, job="other", holder="other", span=minute, waits="none")
    assert isinstance(counted(sent)[0], Again)
    counted.store.release_key(held)
    assert counted(sent, attempt=2) == (Done(3), 3)
    record = counted.store.read(sent.id)
    assert record is not None
    assert (record.detail_status, record.attempts) == (DetailStatus.SUCCESSFUL, 1)
