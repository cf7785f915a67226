"""Two Celery workers on our Redis transport, both alive: what one holds is not the other's until it stands still."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest
import redis

import taskbridge
from tests.celery import application, planted_leases
from tests.celery.conftest import Ledger, log_of, start_worker
from tests.pauses import standing_still
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.process import Process
    from taskbridge.services import Server

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("celery-two-workers")]

LEASE = 4
"""Seconds. A busy machine does not keep a living worker from renewing for so long."""

IMPORTS = (application.__name__, planted_leases.__name__)
BUG = "lease without a fence"
with_the_bug = pytest.mark.parametrize("pair", ["", BUG], indirect=True)
without_bugs = pytest.mark.parametrize("pair", [""], indirect=True)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two workers on one database, and what is planted in both."""

    url: str
    bug: str
    workers: tuple[Process, Process]
    ledger: Ledger

    def holder(self, job_id: str) -> Process:
        """The worker that has received this job."""
        until(lambda: self._holders(job_id), what=f"a worker that holds {job_id}")
        return self._holders(job_id)[0]

    def _holders(self, job_id: str) -> list[Process]:
        return [worker for worker in self.workers if f"[{job_id}] received" in log_of(worker)]


@pytest.fixture(scope="module")
def pair(
    request: pytest.FixtureRequest, redis_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder, url = tmp_path_factory.mktemp("pair"), redis_server.fresh_url()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(application.LEDGER, str(folder / "ledger"))
        patch.setenv(planted_leases.BUG, request.param)
        taskbridge.configure(f"celery+{url}?lease={LEASE}")
        # Each can run what has become due while it runs another job.
        start = partial(start_worker, folder, imports=IMPORTS, concurrency=2)
        with start() as one, start() as other:
            yield Pair(url, request.param, (one, other), Ledger(folder / "ledger"))


@pytest.fixture
def ledger(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Of both; what is enqueued now is for them."""
    monkeypatch.setenv(application.LEDGER, str(pair.ledger.path))
    taskbridge.configure(f"celery+{pair.url}?lease={LEASE}")
    return pair.ledger


@pytest.fixture
def server(pair: Pair, ledger: Ledger) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(pair.url) as client:
        yield client
        until(lambda: not client.exists("unacked", "default"), what="the acknowledgements")


@pytest.fixture
def text(request: pytest.FixtureRequest) -> str:
    """What no other test of the same two workers writes."""
    return f"{request.node.originalname}-{os.urandom(4).hex()}"


@contextmanager
def standing_tree(worker: Process) -> Iterator[None]:
    """Its processes stand still, the first of them first."""
    first = psutil.Process(worker.pid)
    with ExitStack() as stack:
        for process in (first, *first.children(recursive=True)):
            stack.enter_context(standing_still(process.pid))
        yield


@without_bugs
def test_a_job_that_is_longer_than_its_lease_runs_once(ledger: Ledger, server: redis.Redis, text: str) -> None:
    application.gated.enqueue(text)
    ledger.wait(text)
    time.sleep(2 * LEASE)
    ledger.open(text)
    ledger.wait(f"{text} ended")
    until(lambda: not server.exists("unacked", "default"), what="the acknowledgement")
    assert len(ledger.events(text)) == 1


@without_bugs
def test_a_delayed_job_is_renewed_until_it_is_due(ledger: Ledger, server: redis.Redis, text: str) -> None:
    application.noted.using(run_after=timedelta(seconds=2 * LEASE)).enqueue(text)
    ledger.wait(text)
    until(lambda: not server.exists("unacked", "default"), what="the acknowledgement")
    assert len(ledger.events(text)) == 1


@without_bugs
def test_a_cut_connection_neither_loses_nor_doubles(pair: Pair, ledger: Ledger, server: redis.Redis, text: str) -> None:
    running, delayed = f"{text} running", f"{text} delayed"
    application.gated.enqueue(running)
    ledger.wait(running)
    pair.holder(application.noted.using(run_after=timedelta(seconds=2 * LEASE)).enqueue(delayed).id)
    for kind in ("normal", "pubsub"):
        server.client_kill_filter(_type=kind, skipme=True)
    ledger.wait(delayed)
    ledger.open(running)
    ledger.wait(f"{running} ended")
    until(lambda: not server.exists("unacked", "default"), what="the acknowledgements")
    assert [len(ledger.events(event)) for event in (running, delayed)] == [1, 1]


@with_the_bug
def test_a_worker_that_stood_still_cannot_acknowledge_what_was_taken_from_it(
    pair: Pair, ledger: Ledger, server: redis.Redis, text: str
) -> None:
    zombie = pair.holder(application.gated.enqueue(text).id)
    ledger.wait(text)
    with standing_tree(zombie):
        ledger.wait(text, count=2)
    before = log_of(zombie).count("its lease was lost")
    ledger.open(text, number=1)
    ledger.wait(f"{text} ended")
    if pair.bug:
        until(lambda: not server.hlen("unacked"), what="the acknowledgement of the zombie")
    else:
        until(lambda: log_of(zombie).count("its lease was lost") > before, what="the warning")
        assert server.hlen("unacked") == 1
    ledger.open(text, number=2)
    ledger.wait(f"{text} ended", count=2)


@with_the_bug
def test_a_worker_that_stood_still_begins_nothing_that_was_taken_from_it(
    pair: Pair, ledger: Ledger, server: redis.Redis, text: str
) -> None:
    job = application.noted.using(run_after=timedelta(seconds=2 * LEASE)).enqueue(text)
    zombie = pair.holder(job.id)
    with standing_tree(zombie):
        ledger.wait(text)
    if pair.bug:
        ledger.wait(text, count=2)
    else:
        until(lambda: f"[{job.id}] is not begun here" in log_of(zombie), what="the refusal")
        assert len(ledger.events(text)) == 1
