"""Workers that die, stall or are stopped: what becomes of the job in their hands."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from tests.django.conftest import PATIENCE, QUIET_SECONDS, TABLE
from tests.pauses import standing_still

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.process import Process
    from tests.django.conftest import Project


def test_a_job_of_a_killed_worker_runs_again_within_a_bound(project: Project) -> None:
    opened = project.hold()
    first = project.worker()
    project.until(lambda: project.written("holds"), first)
    first.kill_tree()
    killed = time.monotonic()
    second = project.worker()
    project.until(lambda: len(project.written("holds")) == 2, second)
    assert time.monotonic() - killed < 30
    project.folder.joinpath(opened).touch()
    (row,) = project.finish(second, jobs=1)
    assert row["status"] == "SUCCESSFUL"
    assert len(row["worker_ids"]) == 2
    assert row["args_kwargs"]["taskbridge_returns"] == {"crashed": 1, "released": 0}


def test_without_recovery_it_would_be_stuck(on_sqlite: Project) -> None:
    on_sqlite.hold()
    first = on_sqlite.quick_worker("no recovery")
    on_sqlite.until(lambda: on_sqlite.written("holds"), first)
    first.kill_tree()
    second = on_sqlite.quick_worker("no recovery")
    time.sleep(QUIET_SECONDS)
    assert second.running
    assert len(on_sqlite.written("holds")) == 1


@contextlib.contextmanager
def paused(worker: Process, project: Project) -> Iterator[None]:
    """At a moment when it holds no lock of a SQLite file, which nobody else could write then."""
    is_free = False
    while not is_free:
        with standing_still(worker.pid):
            with contextlib.suppress(sqlite3.OperationalError):
                project.query("DELETE FROM taskbridge_django_leases WHERE worker_id = 'nobody'", patience=0.2)
                is_free = True
            if is_free:
                yield
        time.sleep(0.05)  # in which it may let go


@pytest.mark.parametrize(("database", "bug"), [("sqlite", ""), ("postgres", ""), ("sqlite", "no fence")])
def test_a_worker_that_was_paused_does_not_end_the_job_of_the_one_after_it(
    request: pytest.FixtureRequest, database: str, bug: str
) -> None:
    project: Project = request.getfixturevalue(f"on_{database}")
    first_only, for_both = project.folder / "first", project.folder / "second"
    project.enqueue(f"application.holds_in_turn.enqueue({str(first_only)!r}, {str(for_both)!r})")
    zombie = project.quick_worker(bug)
    project.until(lambda: project.written("holds"), zombie)
    with paused(zombie, project):
        heir = project.quick_worker()
        project.until(lambda: len(project.written("holds")) == 2, heir)
        first_only.touch()
    if bug:
        assert project.finish(heir, jobs=1)[0]["status"] == "SUCCESSFUL"
        assert len(project.written("lets go")) == 1  # the heir still runs it
        return
    zombie.wait_for_line("no longer this worker's", within=PATIENCE)
    assert project.rows()[0]["status"] == "RUNNING"
    for_both.touch()
    (row,) = project.finish(heir, jobs=1)
    assert row["status"] == "SUCCESSFUL"
    assert len(row["worker_ids"]) == 2
    project.enqueue("application.note.enqueue('after')")
    heir.kill_tree()
    project.finish(zombie, jobs=2)


@pytest.mark.parametrize("task", ["application.kills", "shop.kills"])
def test_a_job_that_kills_its_worker_is_given_up_and_its_neighbour_runs(project: Project, task: str) -> None:
    project.environment["SHOP_URL"] += "?crash_budget=1"
    project.enqueue(f"import shop; {task}.using(priority=9).enqueue(); application.note.enqueue('neighbour')")
    for _ in range(2):
        assert project.quick_worker().wait(within=PATIENCE) == -signal.SIGKILL
    rows = project.finish(project.quick_worker(), jobs=2)
    assert [row["status"] for row in rows] == ["FAILED", "SUCCESSFUL"]
    assert rows[0]["exception_class_path"] == "taskbridge.errors.CrashedOut"
    assert len(project.written("kills")) == 2


def test_a_crash_costs_no_attempt(project: Project) -> None:
    project.enqueue(f"application.kills_once.enqueue({str(project.folder / 'marker')!r})")
    project.quick_worker().wait(within=PATIENCE)
    (row,) = project.finish(project.quick_worker(), jobs=1)
    assert [entry["attempt"] for entry in project.written("kills once")] == [1, 1, 2]
    assert row["exception_class_path"] == "builtins.ConnectionError"


@pytest.mark.parametrize("task", ["application.holds", "shop.holds"])
def test_at_the_second_signal_the_job_is_given_back_at_once(on_sqlite: Project, task: str) -> None:
    opened = on_sqlite.hold(f"import shop; {task}")
    worker = on_sqlite.quick_worker()
    on_sqlite.until(lambda: on_sqlite.written("holds"), worker)
    worker.send(signal.SIGTERM)
    time.sleep(0.2)  # two of one kind at a time would be one signal
    worker.send(signal.SIGTERM)
    assert worker.wait(within=PATIENCE) == 1
    (row,) = on_sqlite.rows()
    assert row["status"] == "READY"
    assert row["args_kwargs"]["taskbridge_returns"] == {"crashed": 0, "released": 1}
    on_sqlite.folder.joinpath(opened).touch()
    assert on_sqlite.finish(on_sqlite.quick_worker(), jobs=1)[0]["status"] == "SUCCESSFUL"


def test_a_job_that_is_cut_off_by_a_stop_is_no_crash(on_postgres: Project) -> None:
    on_postgres.hold()
    worker = on_postgres.quick_worker()
    on_postgres.until(lambda: on_postgres.written("holds"), worker)
    worker.send(signal.SIGTERM)
    stopping = "SELECT count(*) FROM taskbridge_django_leases WHERE stopping = 1"
    on_postgres.until(lambda: on_postgres.query(stopping) == [(1,)], worker)
    worker.kill_tree()
    on_postgres.until(lambda: len(on_postgres.written("holds")) == 2, on_postgres.quick_worker())
    assert on_postgres.rows()[0]["args_kwargs"]["taskbridge_returns"] == {"crashed": 0, "released": 1}


def test_a_stop_between_claim_and_run_loses_nothing(project: Project) -> None:
    project.enqueue("application.note.enqueue('claimed')")
    assert project.quick_worker("stopped between claim and run").wait(within=PATIENCE) == 0
    assert [row["status"] for row in project.rows()] == ["SUCCESSFUL"]


def test_a_claim_whose_answer_was_lost_is_given_back(project: Project) -> None:
    project.enqueue("application.note.enqueue('claimed')")
    (row,) = project.finish(project.quick_worker("lost answer to a claim"), jobs=1)
    assert row["status"] == "SUCCESSFUL"
    assert row["args_kwargs"]["taskbridge_returns"] == {"crashed": 0, "released": 1}


def test_what_a_stock_worker_runs_is_left_alone(project: Project) -> None:
    project.enqueue("application.note.enqueue('theirs')")
    project.query(f"""UPDATE {TABLE} SET status = 'RUNNING', worker_ids = '["stock"]'""")
    worker = project.quick_worker()
    project.enqueue("application.note.enqueue('ours')")
    project.finish(worker, jobs=1)
    time.sleep(QUIET_SECONDS)
    assert [row["status"] for row in project.rows()] == ["RUNNING", "SUCCESSFUL"]


def test_arguments_survive_a_recovery_to_the_digit(project: Project) -> None:
    project.enqueue("application.holds_with.enqueue([1e16, -0.0, 0.1, 'ä', {'b': 1, 'a': None}], 2**53 + 1)")
    before = project.rows()[0]["args_kwargs"]
    first = project.quick_worker()
    project.until(lambda: project.written("holds"), first)
    first.kill_tree()
    project.until(lambda: len(project.written("holds")) == 2, project.quick_worker())
    after = project.rows()[0]["args_kwargs"]
    assert after.pop("taskbridge_returns")
    assert repr(after) == repr(before)
