"""A store of each kind on a real server, and jobs to record in it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from taskbridge.store import NewRecord, Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DURABLE = ("sqlite", "postgresql", "redis")


@pytest.fixture(params=DURABLE)
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that processes can share."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture(params=(*DURABLE, "memory"))
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def job() -> NewRecord:
    return NewRecord(id=uuid.uuid4().hex, task="shop.tasks.receipt", queue_name="default", backend="default")


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/results.db"
    if kind == "memory":
        return "memory://"
    url: str = request.getfixturevalue("postgres_url" if kind == "postgresql" else "redis_url")
    return url
