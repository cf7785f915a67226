"""What `taskbridge check` says of the outboxes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import taskbridge
from taskbridge.backend import WorkerOptions
from taskbridge.check.run import check_backend
from taskbridge.outbox import open_outbox
from taskbridge.router import router
from taskbridge.store import schema
from taskbridge.testing import MemoryBackend
from tests.outbox.tasks import note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    url = f"sqlite:///{tmp_path}/app.db"
    taskbridge.configure(backends={"default": MemoryBackend(), "other": MemoryBackend()}, outbox=[url])
    yield url
    router.configure(None)


def said(alias: str = "default") -> list[str]:
    options = WorkerOptions(alias=alias, queues=("default",), concurrency=1, grace=timedelta(seconds=30))
    checked = check_backend(alias, [note], router, options=options)
    return [finding.what for finding in checked.findings if finding.about.startswith("outbox")]


def test_an_outbox_without_tables_or_out_of_reach_is_found(url: str, tmp_path: Path) -> None:
    assert said() == ["there are no tables"]
    (tmp_path / "app.db").write_bytes(b"no database" * 100)
    (problem,) = said()
    assert "it does not answer" in problem


def test_what_was_given_up_and_what_nobody_hands_on_is_found_for_its_backend(url: str, tmp_path: Path) -> None:
    with closing(open_outbox(url)) as table:
        table.create()
        assert said() == []
        with sqlite3.connect(tmp_path / "app.db") as connection:
            note.using(connection=connection, timing="outbox").enqueue("dead")
            note.using(connection=connection, timing="outbox").enqueue("late")
        connection.close()
        assert said() == []
        table.give_up(table.waiting(1)[0], ValueError("too large"))
        with sqlite3.connect(tmp_path / "app.db") as connection:
            connection.execute("UPDATE taskbridge_outbox SET written_at = written_at - 600000000")
        connection.close()
    given_up, late = said()
    assert given_up.startswith("1 jobs were given up")
    assert late.startswith("a job has waited there for 60")
    assert said("other") == []
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute("UPDATE taskbridge_outbox SET backend = 'gone' WHERE dead_at IS NULL")
    connection.close()
    assert said()[-1] == "1 jobs wait for a backend 'gone', which is not set"
    assert said("other") == []


def test_tables_that_older_code_made_are_found(url: str, tmp_path: Path) -> None:
    with closing(open_outbox(url)) as table:
        table.create()
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute(f"DELETE FROM {schema.APPLICATION_VERSIONS} WHERE version > 1")
    connection.close()
    assert said() == [f"the tables are of step 1, and the code of step {len(schema.APPLICATION_STEPS)}"]


def test_an_outbox_that_no_settings_name_is_found_where_it_is_used(tmp_path: Path) -> None:
    taskbridge.configure("memory://?timing=outbox")
    try:
        assert said() == ["the settings name no database whose outbox is handed on"]
        taskbridge.configure("memory://")
        assert said() == []
    finally:
        router.configure(None)
