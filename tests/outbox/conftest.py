"""A database of the application with an outbox, on SQLite and on PostgreSQL, and a backend in this process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

import taskbridge
from taskbridge.outbox import OutboxTable, Relay, open_outbox
from taskbridge.router import router
from taskbridge.testing import MemoryBackend
from tests.outbox.connections import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An application's database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/application.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def outbox(database_url: str) -> Iterator[OutboxTable]:
    """Its outbox, which is empty."""
    with contextlib.closing(open_outbox(database_url)) as table:
        table.create()
        with plain(database_url) as connection:
            for name in ("taskbridge_outbox", "taskbridge_outbox_relay", "taskbridge_inbox"):
                connection.cursor().execute(f"DELETE FROM {name}")
            connection.commit()
        yield table


@pytest.fixture
def memory(database_url: str) -> Iterator[MemoryBackend]:
    """The backend `default`, whose jobs go through the outbox unless a call says otherwise."""
    taskbridge.configure("memory://?timing=outbox", outbox=[database_url])
    backend = router.backend()
    assert isinstance(backend, MemoryBackend)
    yield backend
    router.configure(None)


@pytest.fixture
def relay(outbox: OutboxTable) -> Iterator[Relay]:
    with contextlib.closing(Relay(outbox)) as opened:
        yield opened
