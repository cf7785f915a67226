"""What is peculiar to Dramatiq when its own workers run our tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import taskbridge
from tests.dramatiq import application
from tests.dramatiq.conftest import Ledger, start_worker

if TYPE_CHECKING:
    from taskbridge.process import Process


pytestmark = pytest.mark.xdist_group("rabbitmq-1")


@pytest.fixture(scope="module", params=["redis", "amqp"])
def worker(
    request: pytest.FixtureRequest, ledger: Ledger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    redis_url: str = request.getfixturevalue("redis_url")
    if request.param == "redis":
        url = f"dramatiq+{redis_url}?heartbeat=2"
    else:
        url = f"dramatiq+{request.getfixturevalue('amqp_url')}?store={redis_url}"
    ledger.clear()
    os.environ["TASKBRIDGE_URL"] = url
    taskbridge.configure()
    with start_worker(tmp_path_factory.mktemp("worker")) as process:
        yield process
    del os.environ["TASKBRIDGE_URL"]


def test_a_typed_job_runs(worker: Process, ledger: Ledger) -> None:
    when = datetime(2030, 1, 2, tzinfo=UTC)
    application.note_text.enqueue("typed", when)
    assert ledger.wait("typed")[0]["when"] == when.isoformat()


def test_a_thousand_jobs_run_once_each(worker: Process, ledger: Ledger) -> None:
    application.note_text.enqueue_many([("bulk",)] * 1000)
    assert len(ledger.wait("bulk", count=1000, seconds=30)) == 1000


def test_a_failing_job_is_retried_after_its_delays_and_then_dead_lettered(worker: Process, ledger: Ledger) -> None:
    application.fail.enqueue("failing")
    starts = [event["at"] for event in ledger.wait("failing", count=3)]
    assert starts[1] - starts[0] >= 0.2
    assert starts[2] - starts[1] >= 0.4


def test_the_attempt_number_and_metadata_survive_retries(worker: Process, ledger: Ledger) -> None:
    job = application.context.using(metadata={"tenant": "blue"}).enqueue("counted")
    events = ledger.wait("counted", count=3)
    assert [event["attempt"] for event in events] == [1, 2, 3]
    assert {event["id"] for event in events} == {job.id}
    assert all(event["metadata"] == {"tenant": "blue"} for event in events)


def test_a_delayed_job_is_not_early(worker: Process, ledger: Ledger) -> None:
    due = datetime.now(UTC) + timedelta(seconds=0.5)
    application.note_text.using(run_after=due).enqueue("delayed")
    assert ledger.wait("delayed")[0]["at"] >= due.timestamp()


def test_a_result_is_kept(worker: Process) -> None:
    assert application.add.enqueue(2, 3).wait(timeout=timedelta(seconds=15)) == 5
