"""What is peculiar to Celery when its own workers run our tasks."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import taskbridge
from tests.celery import application
from tests.celery.conftest import STOP, Ledger, start_worker, until

if TYPE_CHECKING:
    from taskbridge.process import Process


def log_of(worker: Process) -> str:
    assert worker.log is not None
    return worker.log.read_text()


@pytest.mark.usefixtures("configured")
def test_a_job_whose_process_is_killed_runs_again(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path):
        application.dies.enqueue("crash", 2)
        ledger.wait("crash ended")
    assert len(ledger.events("crash")) == 3


@pytest.mark.usefixtures("configured")
def test_a_job_that_kills_every_process_fails_in_the_end_and_the_worker_goes_on(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path) as worker:
        application.dies.enqueue("poison", 99)
        ledger.wait("poison", count=4)
        until(lambda: log_of(worker).count("WorkerLostError") >= 1, what="the failure")
        application.noted.enqueue("after")
        ledger.wait("after")
    assert len(ledger.events("poison")) == 4


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_a_job_at_most_once_is_not_run_again_after_a_kill(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path):
        application.once.enqueue("once")
        ledger.wait("once")
        application.noted.enqueue("after")
        ledger.wait("after")
    assert len(ledger.events("once")) == 1


@pytest.mark.parametrize("broker", ["amqp"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_a_job_of_a_killed_worker_runs_on_the_next_one(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path) as killed:
        application.hold.enqueue("held", 2)
        ledger.wait("held")
        killed.kill_tree()
    with start_worker(tmp_path):
        ledger.wait("held ended")
    assert len(ledger.events("held")) == 2


@pytest.mark.usefixtures("configured")
def test_a_warm_stop_lets_the_running_job_end(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path) as worker:
        application.hold.enqueue("warm", 1)
        ledger.wait("warm")
        worker.send(signal.SIGTERM)
        assert worker.wait(within=STOP) == 0
    assert ledger.events("warm ended")


@pytest.mark.usefixtures("configured")
def test_one_worker_serves_several_queues(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path, queues=("default", "other")):
        application.noted.enqueue("first")
        application.noted.using(queue_name="other").enqueue("second")
        ledger.wait("first")
        ledger.wait("second")


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_the_hooks_run_once_in_each_process_that_runs_attempts(
    broker: str, pool: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"{broker}?pool={pool}")
    with start_worker(tmp_path) as worker:
        application.noted.enqueue("ran")
        (ran,) = ledger.wait("ran")
        worker.send(signal.SIGTERM)
        assert worker.wait(within=STOP) == 0
    for event in ("worker started", "worker stopped"):
        assert [each["pid"] for each in ledger.events(event)] == [ran["pid"]]


@pytest.mark.parametrize("pool", ["threads", "solo"])
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_timeout_comes_when_the_record_says(broker: str, pool: str, tmp_path: Path, ledger: Ledger) -> None:
    taskbridge.configure(f"{broker}?pool={pool}")
    is_prompt = not taskbridge.router.router.backend().capabilities.prompt_timeout.is_refused
    assert is_prompt == (pool == "solo")
    with start_worker(tmp_path):
        application.slow.enqueue("slow")
        (start,) = ledger.wait("slow")
        (end,) = ledger.wait("slow ended")
    assert (end["at"] - start["at"] < 2) == is_prompt


@pytest.mark.usefixtures("configured")
def test_an_unknown_task_does_not_stop_the_worker(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path):
        taskbridge.router.router.backend().enqueue([taskbridge.message.Message("id-1", "nobody", [], {})])
        application.noted.enqueue("after")
        ledger.wait("after")


def test_secrets_stay_out_of_argv(redis_url: str) -> None:
    taskbridge.configure(f"celery+{redis_url.replace('://', '://user:hunter2@')}")
    (command,) = taskbridge.router.router.backend().worker_commands(taskbridge.backend.WorkerOptions())
    assert "hunter2" not in " ".join(command.argv)
    assert "hunter2" not in repr(command)


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_an_idle_worker_wakes_within_fifty_milliseconds(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path):
        application.noted.enqueue("warm")
        ledger.wait("warm")
        delays = []
        for number in range(5):
            started = os.times().elapsed
            application.noted.enqueue(f"idle {number}")
            ledger.wait(f"idle {number}")
            delays.append(os.times().elapsed - started)
    assert sorted(delays)[2] < timedelta(milliseconds=50).total_seconds()
