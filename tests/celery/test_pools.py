"""What is peculiar to each of the pools in which Celery runs attempts."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
import redis

import taskbridge
from tests.celery import application
from tests.celery.conftest import STOP, Ledger, start_worker
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_the_hooks_run_once_in_each_process_that_runs_attempts(
    broker: str, pool: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"{broker}?pool={pool}")
    with start_worker(tmp_path) as worker:
        application.noted.enqueue("ran")
        (ran,) = ledger.wait("ran")
        # Before the worker has read the result, its child would wait half a minute for that, and it for its child.
        with redis.Redis.from_url(broker.removeprefix("celery+")) as client:
            until(lambda: not client.exists("unacked"), what="the acknowledgement")
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
    assert (end["at"] - start["at"] < application.SLOW_SECONDS) == is_prompt
