"""As `test_faults`, for Django tasks, which enqueue in a process that is a Django project.

A row in PostgreSQL is written a second time when its connection was lost: its id is stamped before, so that it cannot
be there twice. Nothing else repeats.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from taskbridge import services
from taskbridge.process import free_port
from taskbridge_compare.faults.cut_rules import BeforeReply, BeforeRequest
from taskbridge_compare.faults.proxy import CuttingProxy
from tests.conformance.backends import SERVED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from taskbridge_compare.faults.cut_rules import Rule

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("django-faults")]
STATED_SECONDS = 10
MARGIN_SECONDS = 5
TABLE = "django_tasks_database_dbtaskresult"
PROXIED = {"django+db+postgres": "TEST_DATABASE", "django+rq": "TEST_REDIS"}
"""Backends, and the variable that names their server."""


class Producer:
    """The process that enqueues."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def enqueue(self) -> dict[str, Any]:
        """What became of one more job; an error has come within the stated time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("a job\n")
        self._process.stdin.flush()
        outcome: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert outcome["seconds"] < STATED_SECONDS + MARGIN_SECONDS
        return outcome

    def accepted(self) -> bool:
        return "error" not in self.enqueue()


class Shop(NamedTuple):
    """A producer whose way to its server is a proxy."""

    producer: Producer
    proxy: CuttingProxy
    server: services.Server
    url: str

    def held(self) -> int:
        """How many jobs the server holds."""
        if self.url.startswith("redis"):
            return int(redis.Redis.from_url(self.url).llen("rq:queue:default"))
        with psycopg.connect(self.url) as session:
            row = session.execute(f"SELECT count(*) FROM {TABLE}").fetchone()
            assert row is not None
            return int(row[0])

    def enqueue_through(self, rule: Rule) -> dict[str, Any]:
        """The outcome of a job whose connection is cut by the rule."""
        self.proxy.rule = rule
        try:
            return self.producer.enqueue()
        finally:
            self.proxy.rule = None


@contextmanager
def started(url: str, environment: Mapping[str, str]) -> Iterator[Producer]:
    argv = [sys.executable, "-m", "tests.bad_input.producer"]
    ours = {**os.environ, **environment, "TASKBRIDGE_URL": url}
    with subprocess.Popen(argv, env=ours, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Producer(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def own_redis() -> Iterator[services.Server]:
    with services.start_private("redis") as server:
        yield server


@pytest.fixture(scope="module", params=PROXIED)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    name: str = request.param
    server: services.Server = request.getfixturevalue("own_redis" if name == "django+rq" else "postgres_server")
    url, environment = SERVED[name].on(lambda _: server.fresh_url(), tmp_path_factory.mktemp("shop"))
    direct = environment[PROXIED[name]]
    parts = urlsplit(direct)
    assert parts.hostname
    assert parts.port
    with CuttingProxy(parts.hostname, parts.port) as proxy:
        netloc = parts.netloc.replace(f":{parts.port}", f":{proxy.port}")
        proxied = {**environment, PROXIED[name]: parts._replace(netloc=netloc).geturl()}
        with started(url, proxied) as producer:
            yield Shop(producer, proxy, server, direct)


def test_a_cut_before_the_write_is_told_or_mended_and_no_job_is_there_twice(shop: Shop) -> None:
    assert shop.producer.accepted()
    held = shop.held()
    rule = BeforeRequest(lambda: None, piece=1)
    outcome = shop.enqueue_through(rule)
    assert rule.struck.is_set()
    assert shop.held() == held + ("error" not in outcome)
    assert shop.producer.accepted()


def test_a_cut_before_the_reply_leaves_the_job_once_and_nobody_says_that_it_is_not_there(shop: Shop) -> None:
    assert shop.producer.accepted()
    held = shop.held()
    rule = BeforeReply(lambda: None, piece=1)
    outcome = shop.enqueue_through(rule)
    assert rule.struck.is_set()
    assert outcome.get("maybe_accepted", True) is True
    assert shop.held() == held + 1
    assert shop.producer.accepted()


class EveryReply:
    """The server has what each client sends, and no client ever hears of it."""

    def drops(self, connection: int, way: str, data: bytes) -> bool:
        del connection, data
        return way == "to client"


def test_a_job_of_which_nothing_can_be_heard_may_have_been_accepted(shop: Shop) -> None:
    assert shop.producer.accepted()
    held = shop.held()
    outcome = shop.enqueue_through(EveryReply())
    assert outcome["maybe_accepted"] is True
    assert shop.held() == held + 1
    assert shop.producer.accepted()


@pytest.mark.parametrize("shop", ["django+rq"], indirect=True)
def test_a_stopped_redis_is_an_error_in_time_and_what_it_takes_later_may_have_been_accepted(shop: Shop) -> None:
    assert shop.producer.accepted()
    held = shop.held()
    pid = shop.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        outcome = shop.producer.enqueue()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert outcome["maybe_accepted"] is True
    assert shop.held() in (held, held + 1)
    assert shop.producer.accepted()


@pytest.mark.parametrize("shop", ["django+rq"], indirect=True)
def test_a_full_redis_refuses_the_job_and_the_error_says_so(shop: Shop) -> None:
    assert shop.producer.accepted()
    held = shop.held()
    admin = redis.Redis.from_url(shop.url)
    admin.config_set("maxmemory", "1")
    try:
        outcome = shop.producer.enqueue()
    finally:
        admin.config_set("maxmemory", "0")
    assert outcome["maybe_accepted"] is False
    assert shop.held() == held


@pytest.mark.parametrize("name", PROXIED)
def test_a_server_that_is_not_there_is_an_error_in_time_and_has_accepted_nothing(name: str, tmp_path: Path) -> None:
    port = free_port()
    scheme = "redis" if name == "django+rq" else "postgresql"
    served = SERVED[name]
    environment = {**served.environment, "TEST_DATABASE": f"sqlite:///{tmp_path}/django.db"}
    environment[PROXIED[name]] = f"{scheme}://user:hunter22@127.0.0.1:{port}/0"
    with started(served.url, environment) as producer:
        outcome = producer.enqueue()
    assert outcome["maybe_accepted"] is False
    assert str(port) in outcome["error"]
    assert "hunter22" not in outcome["error"]
