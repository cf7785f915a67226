"""A job without a result does not wait until the store has its key's completion, and the completion is not lost by it.

On real servers that stand still, refuse, or are cut off at the one moment that counts.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis

from taskbridge.message import Done, Skipped
from taskbridge.store import open_store
from taskbridge.worker import key_keeper
from taskbridge.worker.effectively_once import key_name
from taskbridge_compare.faults.cut_rules import BeforeReply, BeforeRequest
from taskbridge_compare.faults.proxy import CuttingProxy
from tests.waiting import WAIT, until
from tests.worker.keyed import in_the_body, is_done, job, key_of, ran, runner, ship, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["redis_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    if found.startswith("redis"):
        with redis.Redis.from_url(found) as client:
            client.flushdb()
    else:
        with psycopg.connect(found, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _own_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does nothing by itself while these tests last."""
    monkeypatch.setattr(key_keeper, "RENEWED_EVERY", timedelta(hours=1))
    monkeypatch.setattr(key_keeper._the_keeper, "_made", None)


@contextmanager
def through_a_proxy(url: str) -> Iterator[tuple[CuttingProxy, Store]]:
    parts = urlsplit(url)
    assert parts.port is not None
    with CuttingProxy(str(parts.hostname), parts.port) as proxy:
        user, at, _ = parts.netloc.rpartition("@")
        opened = open_store(urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{proxy.port}")))
        try:
            yield proxy, opened
        finally:
            opened.close()


def program(*arguments: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.worker.keyed", *arguments]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_end_of_a_job_does_not_wait_for_the_store(url: str, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with runner(store) as run:
        assert run(job(1), attempt=1) == Done(None)
        with silent(url) as fall_silent:
            in_the_body.append(fall_silent)
            assert run(job(2), attempt=1) == Done(None)
        another = open_store(url)
        until(lambda: is_done(another, 2))
        another.close()
        store.settle()
    assert caplog.records == []


def test_a_process_that_is_killed_right_after_it_has_its_key_done(url: str, store: Store) -> None:
    assert key_of(store, 1) is None  # the tables are made
    with program("die", url, "1") as holder:
        assert holder.stdout is not None
        stopped = [int(pid) for pid in holder.stdout.readline().split()]
        try:
            assert stopped
            assert holder.wait(WAIT) == -signal.SIGKILL
        finally:
            holder.kill()
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    until(lambda: is_done(store, 1))


@pytest.mark.parametrize("lost", [BeforeRequest, BeforeReply])
@pytest.mark.parametrize("reader", ["the next claim", "the end of the process", "the keeper"])
def test_a_completion_that_was_cut_off_is_repeated(
    url: str, store: Store, lost: type[BeforeRequest | BeforeReply], reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with through_a_proxy(url) as (proxy, cut_off), runner(cut_off) as run:
        rule = lost(lambda: None, piece=1)
        in_the_body.append(lambda: setattr(proxy, "rule", rule))
        if reader == "the keeper":
            monkeypatch.setattr(key_keeper, "RENEWED_EVERY", timedelta(milliseconds=20))
        assert run(job(1), attempt=1) == Done(None)
        assert rule.struck.wait(WAIT)
        if reader == "the next claim":
            assert lost is BeforeReply or not is_done(store, 1)
            assert run(job(2), attempt=1) == Done(None)
        elif reader == "the end of the process":
            run.stop()
            assert is_done(store, 1)
        until(lambda: is_done(store, 1))
        sent_again = job(1)
        assert run(sent_again, attempt=1) != Done(None)
        assert ran.count(1) == 1


def refusing(url: str, order_id: int) -> Callable[[], object]:
    """Make the server refuse to complete this key; gives what ends that."""
    if url.startswith("redis"):
        client = redis.Redis.from_url(url)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        return lambda: client.config_set("maxmemory", 0)
    holder = psycopg.connect(url)
    name = key_name(ship.name, str(order_id))
    holder.execute("SELECT FROM taskbridge_keys WHERE name = %s FOR UPDATE", [name])
    return holder.close


def test_a_completion_that_the_server_refused_is_repeated(url: str, store: Store) -> None:
    stops: list[Callable[[], object]] = []
    soon = "?options=-c%20statement_timeout%3D300ms" if url.startswith("postgres") else ""
    impatient = open_store(f"{url}{soon}")
    with runner(impatient) as run:
        in_the_body.append(lambda: stops.append(refusing(url, 1)))
        assert run(job(1), attempt=1) == Done(None)
        impatient.settle()
        (repeats,) = key_keeper._the_keeper().repeats
        assert not is_done(store, 1)
        stops.pop()()
        repeats.join(WAIT)
        assert is_done(store, 1)
    impatient.close()


def test_a_completion_is_repeated_where_no_thread_can_be_started_any_more(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with through_a_proxy(url) as (proxy, cut_off), runner(cut_off) as run:
        rule = BeforeRequest(lambda: None, piece=1)
        in_the_body.append(lambda: setattr(proxy, "rule", rule))
        assert run(job(1), attempt=1) == Done(None)
        assert rule.struck.wait(WAIT)

        def ends(_thread: threading.Thread) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", ends)
        run.stop()
        assert is_done(store, 1)


def test_a_holder_that_has_lost_its_key_is_told_so_later(
    url: str, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def is_overtaken() -> None:
        held = key_of(store, 1)
        assert held is not None
        store.release_key(held)
        store.claim_key(held.name, job="the next", holder="b", span=timedelta(minutes=1), waits="none")

    with runner(store) as run, caplog.at_level(logging.ERROR):
        in_the_body.append(is_overtaken)
        assert run(job(1), attempt=1) == Done(None)
        key_keeper.settle_keys()
    assert "was lost to another execution" in caplog.text
    key = key_of(store, 1)
    assert key is not None
    assert (key.job, key.done_at) == ("the next", None)


def test_a_connection_that_is_broken_when_the_body_ends_is_no_harm(url: str, store: Store) -> None:
    with through_a_proxy(url) as (proxy, cut_off), runner(cut_off) as run:
        for order_id in (1, 2):
            in_the_body.append(proxy.cut)
            assert run(job(order_id), attempt=1) == Done(None)
        key_keeper.settle_keys()
        assert is_done(store, 1)
        assert is_done(store, 2)


def test_each_side_of_a_fork_reads_its_own_answers(url: str, store: Store) -> None:
    assert key_of(store, 1) is None  # the tables are made
    with program("fork", url) as forking:
        _, errors = forking.communicate(timeout=WAIT)
    assert forking.returncode == 0, errors


def test_what_many_threads_do_is_done_once(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_keeper, "RENEWED_EVERY", timedelta(milliseconds=1))
    outcomes: list[object] = []
    numbers = [number for number in range(100) for _ in range(2)]
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not numbers:
                    return
                number = numbers.pop()
            outcomes.append(run(job(number), attempt=1))

    with runner(store) as run:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        key_keeper.settle_keys()
        assert sorted(ran) == list(range(100))
        assert sum(outcome == Done(None) for outcome in outcomes) == 100
        assert {type(run(job(number), attempt=1)) for number in range(100)} == {Skipped}
    assert caplog.records == []
