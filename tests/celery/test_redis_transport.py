"""Celery's workers on our Redis transport: what they take is never lost, and what they hold is never taken."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis

import taskbridge
from taskbridge import services
from taskbridge.router import router
from taskbridge.store import DeadLetter, Selection
from tests.celery import application, planted_leases
from tests.celery.conftest import Ledger, start_worker
from tests.redis_programs import fail_over, watched_pair
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.process import Process

LEASE = 3
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


@pytest.mark.parametrize(("bug", "runs_once"), [("", True), ("forgotten renewal", False)])
def test_a_task_that_is_longer_than_its_lease_runs_once_if_it_is_renewed(
    *, bug: str, runs_once: bool, start: Callable[..., Process], ledger: Ledger
) -> None:
    start(bug=bug)
    application.hold.enqueue("long", 3 * LEASE)
    ledger.wait("long")
    start(bug=bug)
    ledger.wait("long ended")
    assert (len(ledger.events("long")) == 1) is runs_once


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


def dead_letters() -> list[DeadLetter]:
    store: Any = router.store()
    return list(store.letters(Selection()))


def log_of(worker: Process) -> str:
    assert worker.log is not None
    return worker.log.read_text()


def test_a_job_that_kills_whole_workers_is_a_dead_letter_when_its_budget_is_spent(
    url: str, tmp_path: Path, ledger: Ledger, server: redis.Redis
) -> None:
    taskbridge.configure(f"celery+{url}?lease=1&pool=solo&crash_budget=1")
    job = application.dies.enqueue("poison", 99)
    application.noted.enqueue("neighbour")
    for count in (1, 2):
        with start_worker(tmp_path) as worker:
            ledger.wait("poison", count=count)
            assert worker.wait(within=timedelta(seconds=20)) == -signal.SIGKILL
    with start_worker(tmp_path):
        ledger.wait("neighbour")
        until(dead_letters, what="the dead letter")
        until(lambda: not server.exists("unacked"), what="the acknowledgement")
    assert [(letter.id, letter.reason) for letter in dead_letters()] == [(job.id, "crashed out")]
    assert len(ledger.events("poison")) == 2


def test_a_cut_connection_neither_loses_nor_doubles(
    start: Callable[..., Process], ledger: Ledger, server: redis.Redis
) -> None:
    worker = start(concurrency=2)
    application.hold.enqueue("running", 2 * LEASE)
    ledger.wait("running")
    delayed = application.noted.using(run_after=timedelta(seconds=2 * LEASE)).enqueue("delayed")
    until(lambda: f"Task note[{delayed.id}] received" in log_of(worker), what="the delayed job")
    for kind in ("normal", "pubsub"):
        server.client_kill_filter(_type=kind, skipme=True)
    ledger.wait("running ended")
    ledger.wait("delayed")
    application.noted.enqueue("after")
    ledger.wait("after")
    until(lambda: not server.exists("unacked", "default"), what="the acknowledgements")
    assert [len(ledger.events(event)) for event in ("running", "delayed", "after")] == [1, 1, 1]


def test_a_restart_of_redis_neither_loses_nor_doubles(tmp_path: Path, ledger: Ledger) -> None:
    with services.start_private("redis", options=services.Options(persistent=True)) as private:
        taskbridge.configure(f"celery+{private.url}?lease=1")
        with start_worker(tmp_path), start_worker(tmp_path):
            application.hold.enqueue("running", 6)
            ledger.wait("running")
            private.kill()
            time.sleep(2)
            private.restart()
            ledger.wait("running ended", seconds=40)
            application.noted.enqueue("after")
            ledger.wait("after", seconds=40)
            with redis.Redis.from_url(private.url) as client:
                until(lambda: not client.exists("unacked", "default"), what="the acknowledgements")
    assert len(ledger.events("running")) == 1


@pytest.mark.parametrize(("bug", "runs"), [("", 1), ("no check before the body", 2)])
def test_a_worker_that_stood_still_begins_nothing_that_was_taken_from_it(
    bug: str, runs: int, start: Callable[..., Process], ledger: Ledger
) -> None:
    zombie = start(bug=bug)
    delayed = application.noted.using(run_after=timedelta(seconds=3 * LEASE)).enqueue("delayed")
    until(lambda: f"Task note[{delayed.id}] received" in log_of(zombie), what="the delayed job")
    pause(zombie, signal.SIGSTOP)
    start()
    ledger.wait("delayed")
    pause(zombie, signal.SIGCONT)
    if runs == 1:
        until(lambda: "is not begun here" in log_of(zombie), what="the refusal")
    ledger.wait("delayed", count=runs)
    application.noted.enqueue("after")
    ledger.wait("after")
    assert len(ledger.events("delayed")) == runs


SHOP = """
from celery import Celery

app = Celery("shop", broker="sentinel://127.0.0.1:{port}/0")
app.conf.broker_transport_options = {{"master_name": "shop", "socket_connect_timeout": 5}}
app.conf.broker_connection_retry_on_startup = True
app.conf.task_default_queue = "default"
"""


@pytest.mark.timeout(150)
def test_a_worker_behind_sentinel_keeps_what_it_runs_while_the_master_changes(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched_pair(tmp_path) as pair:
        (tmp_path / "sentinel_shop.py").write_text(SHOP.format(port=pair.sentinel))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        taskbridge.configure("celery+redis://?app=sentinel_shop:app")
        assert "Name a store" in router.backend().capabilities.result.note
        with start_worker(tmp_path) as worker:
            application.hold.enqueue("running", 5)
            ledger.wait("running")
            fail_over(pair)
            router.close()
            until(lambda: log_of(worker).count("Connected to sentinel") == 2, seconds=80, what="the new connection")
            application.noted.enqueue("after")
            ledger.wait("running ended")
            ledger.wait("after")
            client = redis.Redis(port=pair.replica)
            until(lambda: not client.exists("unacked"), what="the acknowledgements")
    assert len(ledger.events("running")) == 1
