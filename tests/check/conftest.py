"""Redis servers that are set up well and badly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from taskbridge import services

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def durable() -> Iterator[services.Server]:
    with services.start_private("redis", options=services.Options(persistent=True)) as server:
        yield server


@pytest.fixture
def careless(durable: services.Server) -> Iterator[str]:
    """A server that evicts and persists nothing, and was a good one before."""
    client = redis.Redis.from_url(durable.url)
    for name, value in (
        ("maxmemory-policy", "allkeys-lru"),
        ("maxmemory", "100mb"),
        ("appendonly", "no"),
        ("save", ""),
    ):
        client.config_set(name, value)
    yield durable.url
    for name, value in (("maxmemory-policy", "noeviction"), ("maxmemory", "0"), ("appendonly", "yes")):
        client.config_set(name, value)
