"""What a connection costs that is made for one job, as each RQ job's is."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import pytest

from taskbridge.brokers.redis import server_pool

if TYPE_CHECKING:
    from redis import ConnectionPool


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "redis://127.0.0.1:1,127.0.0.2:1/0?sentinel=main"]
)
def test_a_connection_to_redis_is_made_without_a_look_into_files(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool: ConnectionPool = server_pool(url)

    def never(name: str) -> str:
        raise AssertionError(f"the version of {name} is read for each connection")

    monkeypatch.setattr(importlib.metadata, "version", never)
    pool.make_connection()
