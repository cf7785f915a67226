"""Celery's workers on our Redis transport when they, or Redis, are killed: nothing is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

import taskbridge
from taskbridge import services
from taskbridge.router import router
from taskbridge.store import DeadLetter, Selection
from tests.celery import application, planted_leases
from tests.celery.conftest import Ledger, log_of, start_worker
from tests.redis_programs import fail_over, watched_pair
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.process import Process

pytestmark = pytest.mark.timeout(180)

LEASE = 3
"""Seconds."""

IMPORTS = (application.__name__, planted_leases.__name__)


@pytest.fixture
def url(database: str, ledger: Ledger) -> str:
    taskbridge.configure(f"celery+{database}?lease={LEASE}")
    return database


@pytest.fixture
def server(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client


@pytest.fixture
def start(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Process]]:
    """Starts workers, with a planted bug where one is named, and ends them."""
    with ExitStack() as stack:

        def start(*, bug: str = "") -> Process:
            monkeypatch.setenv(planted_leases.BUG, bug)
            return stack.enter_context(start_worker(tmp_path, imports=IMPORTS))

        yield start


def test_what_a_killed_worker_ran_runs_again_and_is_done_once(
    start: Callable[..., Process], ledger: Ledger, server: redis.Redis
) -> None:
    killed = start()
    application.gated.enqueue("held")
    ledger.wait("held")
    killed.kill_tree()
    start()
    ledger.wait("held", count=2)
    ledger.open("held", number=2)
    ledger.wait("held ended")
    until(lambda: not server.exists("unacked", "unacked_index"), what="the acknowledgement")


def test_an_early_acknowledgement_would_be_seen(
    start: Callable[..., Process], ledger: Ledger, server: redis.Redis
) -> None:
    killed = start(bug="early ack")
    application.gated.enqueue("held")
    ledger.wait("held")
    killed.kill_tree()
    assert not server.exists("unacked", "default")
    start()
    application.noted.enqueue("after")
    ledger.wait("after")
    assert len(ledger.events("held")) == 1


def test_a_forgotten_renewal_would_be_seen(start: Callable[..., Process], ledger: Ledger) -> None:
    start(bug="forgotten renewal")
    start(bug="forgotten renewal")
    application.gated.enqueue("long")
    ledger.wait("long", count=2)
    for number in (1, 2):
        ledger.open("long", number=number)


def dead_letters() -> list[DeadLetter]:
    store: Any = router.store()
    return list(store.letters(Selection()))


def test_a_job_that_kills_whole_workers_is_a_dead_letter_when_its_budget_is_spent(
    url: str, tmp_path: Path, ledger: Ledger, server: redis.Redis
) -> None:
    taskbridge.configure(f"celery+{url}?lease={LEASE}&pool=solo&crash_budget=1")
    job = application.dies.enqueue("poison", 99)
    application.noted.enqueue("neighbour")
    for count in (1, 2):
        with start_worker(tmp_path) as worker:
            ledger.wait("poison", count=count)
            assert worker.wait(within=timedelta(seconds=45)) == -signal.SIGKILL
    with start_worker(tmp_path):
        ledger.wait("neighbour")
        until(dead_letters, what="the dead letter")
        until(lambda: not server.exists("unacked"), what="the acknowledgement")
    assert [(letter.id, letter.reason) for letter in dead_letters()] == [(job.id, "crashed out")]
    assert len(ledger.events("poison")) == 2


def test_a_restart_of_redis_neither_loses_nor_doubles(tmp_path: Path, ledger: Ledger) -> None:
    with services.start_private("redis", options=services.Options(persistent=True)) as private:
        taskbridge.configure(f"celery+{private.url}?lease={LEASE}")
        with start_worker(tmp_path, concurrency=2), start_worker(tmp_path, concurrency=2):
            application.gated.enqueue("running")
            ledger.wait("running")
            private.kill()
            # All leases have run out while nobody could renew, when it is back.
            time.sleep(LEASE + 0.5)
            private.restart()
            application.noted.using(run_after=timedelta(seconds=LEASE + 1)).enqueue("after")
            ledger.wait("after")
            ledger.open("running")
            ledger.wait("running ended")
            with redis.Redis.from_url(private.url) as client:
                until(lambda: not client.exists("unacked", "default"), what="the acknowledgements")
    assert len(ledger.events("running")) == 1


SHOP = """
from celery import Celery

app = Celery("shop", broker="sentinel://127.0.0.1:{port}/0")
app.conf.broker_transport_options = {{"master_name": "shop", "socket_connect_timeout": 5}}
app.conf.broker_connection_retry_on_startup = True
app.conf.task_default_queue = "default"
"""


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
            application.gated.enqueue("running")
            ledger.wait("running")
            fail_over(pair)
            router.close()
            until(lambda: log_of(worker).count("Connected to sentinel") == 2, seconds=80, what="the new connection")
            ledger.open("running")
            application.noted.enqueue("after")
            ledger.wait("running ended")
            ledger.wait("after")
            client = redis.Redis(port=pair.replica)
            until(lambda: not client.exists("unacked"), what="the acknowledgements")
    assert len(ledger.events("running")) == 1
