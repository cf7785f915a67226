"""An orderly stop: what runs ends and is acknowledged, and what is cut goes back."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from kombu.connection import Connection

from tests.celery import application, planted_flush
from tests.celery.conftest import STOP, Ledger, log_of, start_worker
from tests.celery.pipes import given
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.process import Process

pytestmark = pytest.mark.timeout(180)

LONGER_THAN_A_PIPE = "x" * 200_000
on_redis = pytest.mark.parametrize("broker", ["redis"], indirect=True)
on_rabbitmq = pytest.mark.parametrize("broker", ["amqp"], indirect=True)


def depth(broker: str) -> int:
    """How many messages wait in the queue."""
    with Connection(broker.removeprefix("celery+")) as connection:
        try:
            return int(connection.default_channel.queue_declare("default", passive=True).message_count)
        except connection.channel_errors:  # in Redis an empty queue is none
            return 0


def stop_while_a_job_is_handed_over(worker: Process, ledger: Ledger, value: str | None, until_it_says: str) -> None:
    """The job has been written, and its process does not run before the stop is on its way."""
    (child,) = psutil.Process(worker.pid).children()
    with given(child.pid, lambda: application.noted.enqueue("given", value)):
        worker.send(signal.SIGTERM)
        until(lambda: until_it_says in log_of(worker), what=f"{until_it_says!r} in the log")
    ledger.wait("given")


@pytest.mark.usefixtures("configured")
def test_a_stop_forgets_nothing_that_a_process_has_been_given(broker: str, tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path, native_arguments=("-l", "DEBUG")) as worker:
        stop_while_a_job_is_handed_over(worker, ledger, None, "Worker: Stopping Pool")
        assert worker.wait(within=STOP) == 0
    assert depth(broker) == 0
    assert len(ledger.events("given")) == 1


@on_redis
@pytest.mark.usefixtures("configured")
def test_nor_what_it_has_been_given_in_part(broker: str, tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path, native_arguments=("-l", "DEBUG")) as worker:
        stop_while_a_job_is_handed_over(worker, ledger, LONGER_THAN_A_PIPE, "Worker: Stopping Consumer")
        assert worker.wait(within=STOP) == 0
    assert depth(broker) == 0


@on_rabbitmq
@pytest.mark.usefixtures("configured")
def test_that_a_stop_forgets_it_would_be_seen(broker: str, tmp_path: Path, ledger: Ledger) -> None:
    imports = (application.__name__, planted_flush.__name__)
    with start_worker(tmp_path, imports=imports, native_arguments=("-l", "DEBUG")) as worker:
        stop_while_a_job_is_handed_over(worker, ledger, None, "Worker: Stopping Pool")
        assert worker.wait(within=timedelta(seconds=3)) is None, "its process waits half a minute"
        worker.kill_tree()
    until(lambda: depth(broker) == 1, what="the job on its queue again")


@pytest.mark.usefixtures("configured")
def test_a_warm_stop_lets_the_running_job_end(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path) as worker:
        application.gated.enqueue("warm")
        ledger.wait("warm")
        worker.send(signal.SIGTERM)
        until(lambda: "Warm shutdown" in log_of(worker), what="the stop")
        ledger.open("warm")
        assert worker.wait(within=STOP) == 0
    assert ledger.events("warm ended")


@on_rabbitmq
@pytest.mark.usefixtures("configured")
def test_a_kill_after_the_grace_puts_back_what_still_runs(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path) as worker:
        application.gated.enqueue("long")
        ledger.wait("long")
        worker.send(signal.SIGTERM)
        until(lambda: "Warm shutdown" in log_of(worker), what="the stop")
        worker.kill_tree()
    assert not ledger.events("long ended")
    with start_worker(tmp_path):
        ledger.wait("long", count=2)
        ledger.open("long", number=2)
        ledger.wait("long ended")


@on_redis
@pytest.mark.usefixtures("configured")
def test_a_delayed_job_of_a_worker_that_stops_is_not_lost_and_not_early(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path) as stopped:
        due = time.time() + 8
        job = application.noted.using(run_after=timedelta(seconds=8)).enqueue("delayed")
        until(lambda: f"Task note[{job.id}] received" in log_of(stopped), what="the job is held")
        stopped.send(signal.SIGTERM)
        assert stopped.wait(within=STOP) == 0
    assert not ledger.events("delayed")
    with start_worker(tmp_path):
        assert ledger.wait("delayed")[0]["at"] >= due
