"""Fixtures for every test: `redis_url`, `amqp_url`, `postgres_url` are empty parts of real servers, one a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.services import Server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """The Redis server of this test process; tests that kill a server start their own."""
    yield from serve("redis")


@pytest.fixture(scope="module")
def redis_url(redis_server: Server) -> str:
    """An empty Redis database, for this module alone."""
    return redis_server.fresh_url()
