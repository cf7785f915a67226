"""`taskbridge cancel`: what it prints, and how it exits."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from click.testing import CliRunner

import taskbridge
from taskbridge.cli import main
from taskbridge.router import router
from taskbridge.store import NewRecord, Started

if TYPE_CHECKING:
    from pathlib import Path


@taskbridge.task(name="cli-cancel.note", result=True, cancellable=True)
def note() -> None: ...


def run(*argv: str, code: int) -> str:
    ran = CliRunner().invoke(main, ("cancel", *argv))
    assert ran.exit_code == code, (ran.output, ran.exception)
    return ran.output


def test_a_job_is_cancelled_by_its_id(tmp_path: Path) -> None:
    taskbridge.configure(f"huey+sqlite:///{tmp_path}/queue.db")
    try:
        handle = note.using(run_after=timedelta(hours=1)).enqueue()
        assert json.loads(run(handle.id, "--json", code=0)) == {
            "schema": 1, "id": handle.id, "outcome": "will_not_start",
        }  # fmt: skip
        assert "will not be started" in run(handle.id, code=0)
        assert handle.detail_status == "CANCELLED"
        running = note.enqueue()
        store = router.store()
        assert store is not None
        job = NewRecord(id=running.id, task="cli-cancel.note", queue_name="default", backend="default")
        store.record(job, Started(attempt=1, at=datetime.now(UTC)))
        assert "terminating: No further attempt" in run(running.id, "--terminate", code=0)
        assert store.asked_to_terminate([running.id]) == {running.id}
        assert "asked: No further attempt" in run(running.id, code=0)
        assert "unknown: Nothing is known" in run("nobody", code=1)
    finally:
        router.configure(None)
