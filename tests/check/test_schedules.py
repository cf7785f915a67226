"""What `taskbridge check` says of periodic tasks, and of settings that only a migration needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import taskbridge
from taskbridge.backend import WorkerOptions
from taskbridge.check import check_backend
from taskbridge.router import router


@taskbridge.task(timeout=timedelta(minutes=2))
def tidy() -> None:
    """Takes a while."""


@taskbridge.task(backend="nowhere")
def lost() -> None:
    """Belongs to a backend that is not set."""


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    yield
    router.configure(None)


def said(url: str = "memory://", **periodic: Any) -> dict[str, str]:
    taskbridge.configure(url, periodic=periodic)
    options = WorkerOptions(alias="default", queues=("default",))
    return {finding.about: finding.what for finding in check_backend("default", [], router, options=options).findings}


def test_schedules_that_tick_together_are_found_unless_they_have_a_jitter() -> None:
    crowd: dict[str, Any] = {f"s{number}": {"task": tidy.name, "every": 600} for number in range(5)}
    assert "s0, s1, s2, s3, s4 tick at the same moments: every 600 s" in said(**crowd)["periodic tasks"]
    spread: dict[str, Any] = {name: {**table, "jitter": 60} for name, table in crowd.items()}
    assert "periodic tasks" not in said(**spread)


def test_a_task_that_may_take_longer_than_its_period_is_found_unless_ticks_are_skipped() -> None:
    often = {"task": tidy.name, "every": 60}
    assert said(often=often)["schedule often"] == "it ticks every 60 s, and its task may take 120 s"
    assert "schedule often" not in said(often={**often, "overlap": "skip"})
    assert "schedule rare" not in said(rare={**often, "every": 120})


def test_a_schedule_of_a_backend_that_is_not_set_is_found() -> None:
    assert "a backend 'nowhere', which is not set" in said(never={"task": lost.name, "every": 60})["schedule never"]


def test_pickle_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "serializer" not in said()
    assert said("huey+sqlite:///./queue.db?serializer=pickle")["serializer"] == "pickle is written and read"
