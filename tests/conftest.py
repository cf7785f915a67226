"""Fixtures for every test: `redis_url`, `amqp_url`, `postgres_url` are empty parts of real servers, one a module."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zlib import crc32

import hypothesis
import pytest

from taskbridge.registry import registry
from tests.servers import serve

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from taskbridge.services import Server

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

# A shell that runs us in the background has us ignore Ctrl-C, and whatever we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


NODES: Final = 3
"""Of RabbitMQ: each takes five seconds of processor to start, and some for as long as it runs."""

LOG: Final = 5_000
"""Characters of each log that a failed test shows."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests on RabbitMQ stay in as many of the test processes as there may be nodes, unless their module says which."""
    if isinstance(item, pytest.Function) and item.get_closest_marker("xdist_group") is None:
        asked = {"amqp_url", "rabbitmq_server"} & set(item.fixturenames)
        if asked or re.search("amqp|rabbitmq", item.nodeid):
            item.add_marker(pytest.mark.xdist_group(f"rabbitmq-{crc32(item.nodeid.encode()) % NODES}"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has the longest limit first: a long test that is begun last keeps one core idle when all others are done."""
    items.sort(key=_limit, reverse=True)


def _limit(item: pytest.Item) -> float:
    """Seconds; 0 where none is stated."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker is not None else 0.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows the end of what its workers and servers wrote: another run may not fail."""
    report = yield
    folder = item.funcargs.get("tmp_path") if report.failed else None
    if isinstance(folder, Path):
        for path in sorted(folder.rglob("*.log")):
            report.sections.append((f"end of {path.name}", path.read_text(errors="replace")[-LOG:]))
    return report


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """The Redis server of this test process; tests that kill a server start their own."""
    yield from serve("redis")


@pytest.fixture(scope="module")
def redis_url(redis_server: Server) -> str:
    """An empty Redis database, for this module alone."""
    return redis_server.fresh_url()


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[Server]:
    """The RabbitMQ node of this test process; it takes 4 to 15 s to start."""
    yield from serve("rabbitmq")


@pytest.fixture(scope="module")
def amqp_url(rabbitmq_server: Server) -> str:
    """An empty RabbitMQ vhost, for this module alone."""
    return rabbitmq_server.fresh_url()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The PostgreSQL server of this test process."""
    yield from serve("postgres")


@pytest.fixture(scope="module")
def postgres_url(postgres_server: Server) -> str:
    """An empty PostgreSQL database, for this module alone."""
    return postgres_server.fresh_url()


@pytest.fixture
def own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test declares is forgotten when it ends: two tasks of one function are more than RQ can be given."""
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
