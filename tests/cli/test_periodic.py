"""`taskbridge periodic`: schedules are listed, paused, resumed and triggered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import taskbridge
from taskbridge.cli import main
from taskbridge.router import router
from taskbridge.scheduler.ticks import Ticks
from taskbridge.schedules import schedules
from tests.cli import part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    url = f"huey+sqlite:///{tmp_path}/queue.db"
    taskbridge.configure(url)
    monkeypatch.setattr(schedules, "_schedules", {})
    taskbridge.periodic(cron="30 3 * * *", zone="Europe/Berlin", name="nightly", args=("nowhere", "x"))(part.charge)
    taskbridge.periodic(every=timedelta(seconds=1), name="clock", args=("nowhere", "x"))(part.charge)
    yield url
    router.configure(None)


def run(*argv: str, code: int = 0) -> str:
    ran = CliRunner().invoke(main, ("periodic", *argv))
    assert ran.exit_code == code, (ran.output, ran.exception)
    return ran.output


def listed() -> dict[str, Any]:
    return {each["name"]: each for each in map(json.loads, run("list", "--json").splitlines())}


def test_they_are_listed_with_their_times() -> None:
    before = datetime.now(UTC)
    seen = listed()
    assert list(seen) == ["clock", "nightly"]
    assert seen["nightly"]["timetable"] == "cron 30 3 * * * Europe/Berlin"
    assert (seen["nightly"]["state"], seen["nightly"]["last"]) == ("never seen by a scheduler", None)
    assert before < datetime.fromisoformat(seen["nightly"]["next"]) <= before + timedelta(days=1, hours=2)
    assert "clock  every 1 s  never seen" in run("list")


def test_what_is_paused_does_not_tick_until_it_is_resumed() -> None:
    store = router.store()
    assert store is not None
    duty = Ticks("default", store, list(schedules))
    duty.beat()
    assert run("pause", "clock") == "clock paused\n"
    seen = listed()
    assert (seen["clock"]["state"], seen["clock"]["next"], seen["nightly"]["state"]) == ("paused", None, "active")
    store._execute("UPDATE taskbridge_schedules SET done_until = done_until - 5000000", ())  # type: ignore[attr-defined]  # as if time had passed
    duty.beat()
    assert listed()["clock"]["last"] is None
    assert json.loads(run("resume", "clock", "--json")) == {"schema": 1, "name": "clock", "state": "resumed"}
    assert listed()["clock"]["state"] == "active"


def test_a_schedule_is_triggered_beside_its_ticks() -> None:
    job_id = json.loads(run("trigger", "nightly", "--json"))["id"]
    assert job_id != run("trigger", "nightly").strip()
    assert listed()["nightly"]["last"] is None


@pytest.mark.parametrize("verb", ["pause", "resume", "trigger"])
def test_an_unknown_name_gets_a_suggestion(verb: str) -> None:
    assert "'nighly'. Did you mean 'nightly'?" in run(verb, "nighly", code=2)


def test_with_no_schedule_it_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "_schedules", {})
    assert "-A" in run("list")
