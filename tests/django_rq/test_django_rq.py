"""Django tasks on RQ: alone, and beside a project that knows nothing of TaskBridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rq.shop import PATIENCE

if TYPE_CHECKING:
    from tests.django_rq.conftest import Project

STOCK_WORKER = ("django", "rqworker", "default", "--job-class", "django_tasks_rq.Job")
PICKLE = "django+rq://default?serializer=pickle"


def test_a_task_runs_is_retried_and_gives_its_result(project: Project) -> None:
    project.worker()
    assert project.part("result") == 2


def test_what_legacy_code_enqueues_runs_on_our_worker_and_its_result_is_read_natively(project: Project) -> None:
    legacy = project.legacy("enqueue")
    assert legacy.wait(within=PATIENCE) == 0, legacy.output()
    ids = legacy.output().split()
    worker = project.worker(PICKLE)
    project.until(lambda: project.count("finished") == 1 and project.count("failed") == 1, worker)
    assert project.written("receipt") == [{"job": "receipt", "number": 42, "name": "Zoë"}]
    legacy = project.legacy("enqueue", *ids)
    assert legacy.wait(within=PATIENCE) == 0, legacy.output()
    assert legacy.output().splitlines() == ["SUCCESSFUL receipt 42", "FAILED builtins.LookupError"]
    assert "not called" not in worker.output()


def test_a_job_has_the_limit_of_its_task_or_call_and_a_native_one_that_of_its_queue(project: Project) -> None:
    assert project.part("limits", PICKLE) == [-1, 3, 180]


def test_what_could_not_be_read_runs_once_it_can_be_and_is_redriven(project: Project) -> None:
    legacy = project.legacy("enqueue")
    assert legacy.wait(within=PATIENCE) == 0, legacy.output()
    worker = project.worker()
    project.until(lambda: project.count("failed") == 2, worker)
    worker.stop()
    assert project.part("redriven", PICKLE) == 2
    project.until(lambda: project.count("finished") == 1 and project.count("failed") == 1, project.worker(PICKLE))
    assert project.written("receipt") == [{"job": "receipt", "number": 42, "name": "Zoë"}]


@pytest.mark.parametrize("url", [f"{PICKLE}&workers=native", PICKLE])
def test_what_we_enqueue_runs_on_a_stock_worker(project: Project, url: str) -> None:
    ids = project.part("enqueue", url)
    worker = project.legacy(*STOCK_WORKER)
    project.until(lambda: project.count("finished") == 1 and project.count("failed") == 1, worker)
    assert project.written("receipt") == [{"job": "receipt", "number": 44, "name": "Zoë"}]
    legacy = project.legacy("enqueue", *ids)
    assert legacy.wait(within=PATIENCE) == 0, legacy.output()
    how = "LookupError" if "native" in url else "Exception"
    assert legacy.output().splitlines() == ["SUCCESSFUL receipt 44", f"FAILED builtins.{how}"]


def test_a_stock_worker_is_not_given_what_is_none_of_djangos_tasks(project: Project) -> None:
    refusal = project.part("nowhere", "django+rq://default?workers=native")
    assert "UnsupportedFeature" in refusal
    assert "leads to none" in refusal


def test_the_job_of_a_killed_worker_runs_again(project: Project) -> None:
    project.part("lasting")
    killed = project.worker()
    project.until(lambda: project.written("began"), killed)
    killed.kill_tree()
    project.until(lambda: project.count("finished") == 1, project.worker())
    assert len(project.written("began")) == 2
    assert (project.count("wip"), project.count("failed")) == (0, 0)


def test_djangos_signals_tell_of_our_jobs(project: Project) -> None:
    assert project.part("signals") == [["tests.django_rq.tasks.flaky", {}, "READY"]] * 2


def test_djangos_signals_tell_once_of_a_job_that_has_ended(project: Project) -> None:
    worker = project.worker()
    assert project.part("result") == 2
    project.until(lambda: project.written("told"), worker)
    assert project.written("told") == [
        {"job": "told", "status": "SUCCESSFUL", "name": "tests.django_rq.tasks.flaky"},
    ]


def test_a_hundred_jobs_take_no_new_connection(project: Project) -> None:
    assert project.part("connections") == 0


@pytest.mark.parametrize(
    ("url", "environment", "words"),
    [
        ("django+rq://default", {"DJANGO_SETTINGS_MODULE": ""}, "DJANGO_SETTINGS_MODULE does not say"),
        ("django+rq://defualt", {}, "Did you mean 'default'?"),
        ("django+rq://loop", {"SHOP_LOOP": "yes"}, "TaskBridge itself"),
        ("django+rq://immediate", {}, "stands for django_tasks_rq.RQBackend"),
        ("django+rq://default?serialiser=json", {}, "serializer"),
    ],
)
def test_an_alias_that_cannot_be_is_refused_in_words(
    project: Project, url: str, environment: dict[str, str], words: str
) -> None:
    refusal = project.part("nowhere", url, **environment)
    assert "ConfigurationError" in refusal
    assert words in refusal
