"""A store of each kind on a real server, and jobs to record in it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from taskbridge.store import NewRecord, ResultStore, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/results.db"


@pytest.fixture
def store(store_url: str) -> Iterator[ResultStore]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def job() -> NewRecord:
    return new_job()


def new_job() -> NewRecord:
    return NewRecord(id=uuid.uuid4().hex, task="shop.tasks.receipt", queue_name="default", backend="default")
