"""What a key costs, counted: commands and waits on the wire to a real server, transactions of a SQLite file."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskbridge.message import Again, Done, Skipped
from taskbridge.store import DetailStatus
from taskbridge.worker import key_keeper
from taskbridge.worker.effectively_once import key_name
from taskbridge_compare.bench import key_counts
from taskbridge_compare.bench.key_counts import Counted, job, tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def _no_renewals() -> Iterator[None]:
    """A key that is held at a fifth second is renewed, which is a command more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_keeper, "RENEWED_EVERY", timedelta(hours=1))
        patch.setattr(key_keeper._the_keeper, "_made", None)
        yield


@pytest.fixture(params=["redis", "postgresql", "sqlite"])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counted]:
    urls = {"redis": "redis_url", "postgresql": "postgres_url"}
    name = urls.get(request.param)
    with key_counts.counted(request.getfixturevalue(name) if name else f"sqlite:///{tmp_path}/store.db") as counted:
        yield counted


def test_a_key_costs_a_job_with_a_result_nothing_and_another_job_two_writes(counted: Counted) -> None:
    assert [counted(job(task, 1)) for task in tasks()] == [
        (Done(1), 0),
        (Done(1), 2),
        (Done(1), 2),
        (Done(1), 2),
    ]
    failed = {task.name: counted(job(task, -1)) for task in (tasks().with_result, tasks().with_both)}
    assert {type(outcome) for outcome, _ in failed.values()} == {Again}
    assert len({count for _, count in failed.values()}) == 1, "the key is given back with the record of the failure"


@pytest.mark.parametrize("counted", ["redis", "postgresql"], indirect=True)
def test_a_key_lets_a_job_with_a_result_wait_no_more_often_and_another_once(counted: Counted) -> None:
    numbers = itertools.count(100)
    for task, waits in zip(tasks(), (0, 1, 2, 2), strict=True):
        # Too many are counted where the machine stops this process between two jobs.
        assert any(counted.one_more(task, numbers)[1] <= waits for _ in range(5)), task


def test_what_is_skipped_costs_one_question_and_the_result_of_another_job_two_more(counted: Counted) -> None:
    for task, count in ((tasks().with_both, 3), (tasks().with_key, 1)):
        sent = job(task, 2)
        counted(sent)
        assert counted(sent) == (Skipped(sent.id), 1)
        assert counted(job(task, 2)) == (Skipped(sent.id), count)


def test_the_start_of_a_job_that_has_waited_for_its_key_is_a_write_of_its_own(counted: Counted) -> None:
    sent, minute = job(tasks().with_both, 3), timedelta(minutes=1)
    name = key_name(tasks().with_both.name, "3")
    held = counted.store.claim_key(name, job="other", holder="other", span=minute, waits="none")
    assert isinstance(counted(sent)[0], Again)
    counted.store.release_key(held)
    assert counted(sent, attempt=2) == (Done(3), 3)
    record = counted.store.read(sent.id)
    assert record is not None
    assert (record.detail_status, record.attempts) == (DetailStatus.SUCCESSFUL, 1)
