"""Celery's workers on our Redis transport: what they take is never lost, and what they hold is never taken."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import redis

import taskbridge
from tests.celery import application, planted_leases
from tests.celery.conftest import Ledger, start_worker, until

if TYPE_CHECKING:
    from taskbridge.process import Process

LEASE = 2
"""Seconds. Short, so that the tests are."""

IMPORTS = (application.__name__, planted_leases.__name__)


@pytest.fixture
def url(redis_url: str, ledger: Ledger) -> str:
    taskbridge.configure(f"celery+{redis_url}?lease={LEASE}")
    return redis_url


@pytest.fixture
def server(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client


@pytest.fixture
def start(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Process]]:
    """Starts workers, with a planted bug where one is named, and ends them."""
    with ExitStack() as stack:

        def start(*, bug: str = "", concurrency: int = 1) -> Process:
            monkeypatch.setenv(planted_leases.BUG, bug)
            return stack.enter_context(start_worker(tmp_path, imports=IMPORTS, concurrency=concurrency))

        yield start


def pause(worker: Process, number: signal.Signals) -> None:
    """Send a signal to the whole tree."""
    for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)):
        process.send_signal(number)


def test_what_a_killed_worker_ran_runs_again_and_is_done_once(
    start: Callable[..., Process], ledger: Ledger, server: redis.Redis
) -> None:
    killed = start()
    application.hold.enqueue("held", 1)
    ledger.wait("held")
    killed.kill_tree()
    start()
    ledger.wait("held ended")
    assert len(ledger.events("held")) == 2
    until(lambda: not server.exists("unacked", "unacked_index"), what="the acknowledgement")


def test_an_early_acknowledgement_would_be_seen(
    start: Callable[..., Process], ledger: Ledger, server: redis.Redis
) -> None:
    killed = start(bug="early ack")
    application.hold.enqueue("held", 1)
    ledger.wait("held")
    killed.kill_tree()
    assert not server.exists("unacked", "default")
    start()
    application.noted.enqueue("after")
    ledger.wait("after")
    assert len(ledger.events("held")) == 1


@pytest.mark.parametrize(("bug", "starts"), [("", 1), ("forgotten renewal", 2)])
def test_a_task_that_is_longer_than_its_lease_runs_once_if_it_is_renewed(
    bug: str, starts: int, start: Callable[..., Process], ledger: Ledger
) -> None:
    start(bug=bug)
    application.hold.enqueue("long", 3 * LEASE)
    ledger.wait("long")
    start(bug=bug)
    ledger.wait("long ended")
    assert len(ledger.events("long")) == starts


def test_a_delayed_job_is_renewed_until_it_is_due(start: Callable[..., Process], ledger: Ledger) -> None:
    start()
    start()
    application.noted.using(run_after=timedelta(seconds=2.5 * LEASE)).enqueue("delayed")
    ledger.wait("delayed")
    application.noted.enqueue("after")
    ledger.wait("after")
    assert len(ledger.events("delayed")) == 1


@pytest.mark.parametrize(("bug", "is_kept"), [("", True), ("lease without a fence", False)])
def test_a_worker_that_stood_still_cannot_acknowledge_what_was_taken_from_it(
    bug: str, is_kept: bool, start: Callable[..., Process], ledger: Ledger, server: redis.Redis
) -> None:
    zombie = start(bug=bug)
    application.hold.enqueue("held", 8)
    ledger.wait("held")
    pause(zombie, signal.SIGSTOP)
    start()
    ledger.wait("held", count=2)
    pause(zombie, signal.SIGCONT)
    ledger.wait("held ended")
    if is_kept:
        until(lambda: "its lease was lost" in log_of(zombie), what="the warning")
    else:
        until(lambda: not server.hlen("unacked"), what="the acknowledgement of the zombie")
    assert bool(server.hlen("unacked")) == is_kept


def log_of(worker: Process) -> str:
    assert worker.log is not None
    return worker.log.read_text()
