"""Sentinels that are not there, or know no such master, and what `taskbridge check` says of it."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import redis

import taskbridge
from taskbridge import task
from taskbridge.errors import BrokerUnavailable, ServiceUnavailable, StoreUnavailable
from taskbridge.process import free_port
from taskbridge.router import router
from taskbridge.services.url import GivenServer
from taskbridge.store import open_store
from tests.check.command import bad, check
from tests.redis_programs import PATIENCE, program, watched_pair, watching
from tests.tls import certificate
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.redis_programs import Pair

pytestmark = pytest.mark.xdist_group("sentinel-bad-input")

ENGINES = ("celery", "dramatiq", "huey", "rq")
STATED_SECONDS = 15
"""5 s for the Sentinels, 5 s to connect and 5 s for the answer."""
MARGIN_SECONDS = 5
SECRET = "of-the-sentinels"


@task
def note(key: str) -> None: ...


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with watched_pair(tmp_path_factory.mktemp("pair"), sentinel_password=SECRET) as found:
        yield found


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    router.configure(None)


def refused(url: str) -> BrokerUnavailable:
    taskbridge.configure(url)
    begun = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        note.enqueue("k")
    assert time.monotonic() - begun < STATED_SECONDS + MARGIN_SECONDS
    assert caught.value.maybe_accepted is False
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("engine", ENGINES)
def test_a_master_that_nobody_knows_is_named(engine: str, pair: Pair) -> None:
    error = refused(f"{engine}+redis://127.0.0.1:{pair.sentinel}/0?sentinel=shoop&sentinel_password={SECRET}")
    assert "'shoop'" in str(error)


def test_what_the_sentinel_watches_instead_is_told(pair: Pair) -> None:
    error = refused(f"rq+redis://127.0.0.1:{pair.sentinel}/0?sentinel=shoop&sentinel_password={SECRET}")
    assert f"127.0.0.1:{pair.sentinel} watches shop" in str(error)


@pytest.mark.parametrize("engine", ENGINES)
def test_sentinels_that_are_not_there_are_an_error(engine: str) -> None:
    error = refused(f"{engine}+redis://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/0?sentinel=shop")
    assert "'shop'" in str(error)


@pytest.mark.parametrize("engine", ["celery", "rq"])
def test_sentinels_that_are_silent_are_an_error_in_time(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [each.getsockname()[1] for each in (first, second)]
        refused(f"{engine}+redis://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/0?sentinel=shop")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sentinel_that_asks_for_another_password_is_an_error(engine: str, pair: Pair) -> None:
    refused(f"{engine}+redis://127.0.0.1:{pair.sentinel}/0?sentinel=shop&sentinel_password={SECRET}wrong")


def test_a_store_whose_master_nobody_knows_is_unavailable(pair: Pair) -> None:
    url = f"redis://127.0.0.1:{pair.sentinel}/0?sentinel=shoop&sentinel_password={SECRET}"
    with pytest.raises(StoreUnavailable, match="shoop") as caught:
        open_store(url).read("01a1fd41-0000-7000-8000-000000000000")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("engine", ["celery", "rq"])
def test_the_check_looks_at_the_master(engine: str, pair: Pair, tmp_path: Path) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{pair.sentinel}"
    _, found = check(tmp_path, f"{engine}+redis://{hosts}/0?sentinel=shop&sentinel_password={SECRET}")
    assert any("master 'shop'" in finding["about"] for finding in found)
    assert not any("reached" in what or "replica" in what for what in bad(found)), found


def test_the_check_says_that_there_is_no_such_master(pair: Pair, tmp_path: Path) -> None:
    _, found = check(tmp_path, f"rq+redis://127.0.0.1:{pair.sentinel}/0?sentinel=shoop&sentinel_password={SECRET}")
    assert any("cannot be reached: no master 'shoop'" in what for what in bad(found)), found


def test_an_experiment_asks_for_a_server_of_its_own() -> None:
    with pytest.raises(ServiceUnavailable, match="behind Sentinel"):
        GivenServer("redis", "redis://127.0.0.1:1,127.0.0.1:2/0?sentinel=shop", named_by="TASKBRIDGE_TEST_REDIS_URL")


def test_rediss_means_tls_to_the_sentinel_and_to_the_master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificate(tmp_path, "IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(made[0]))
    with ExitStack() as stack:
        master = stack.enter_context(program(tmp_path, "master", tls=made))
        sentinel = stack.enter_context(program(tmp_path, "sentinel", *watching(master), tls=made))
        secure: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(made[0])}
        asked: Any = redis.Redis(host="127.0.0.1", port=sentinel, **secure)
        until(lambda: not asked.sentinel_master("shop")["is_sdown"], seconds=PATIENCE, what="the master known")
        for database, engine in enumerate(ENGINES):
            taskbridge.configure(f"{engine}+rediss://127.0.0.1:{sentinel}/{database}?sentinel=shop")
            note.enqueue("k")
            client = redis.Redis(host="127.0.0.1", port=master, db=database, **secure)
            assert any(client.type(key) == b"list" for key in client.scan_iter()), engine
        router.configure(None)
