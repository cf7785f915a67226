"""The settings, and the exceptions for what they cannot mean."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from taskbridge.django import framework
from taskbridge.options import TaskOptions
from taskbridge.process import Command, Process
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.testing import MemoryBackend
from taskbridge.worker import import_tasks, served_queues
from tests.django_backend.worker import PATIENCE

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


def _tasks_setting(**params: Any) -> Any:
    from django.conf import settings

    return {**settings.TASKS, "default": {"BACKEND": "taskbridge.django.Backend", **params}}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"OPTIONS": {"url": "memory"}}, "not a backend URL"),
        ({"OPTIONS": {"url": "memory://", "colour": "red"}}, "unknown option 'colour'"),
        ({"OPTIONS": {"url": "memory://?size_limit=1", "size_limit": 2}}, "size_limit twice"),
        ({"OPTIONS": {"size_limit": 2}}, "and no url"),
        ({"OPTIONS": {"url": "memory://", "result_ttl": "soon"}}, "result_ttl=soon is not a whole number"),
        ({"OPTIONS": {"url": "django+db://default"}}, "go round in a circle"),
    ],
)
def test_settings_that_cannot_work_are_an_invalid_backend(params: dict[str, Any], words: str) -> None:
    with (
        override_settings(TASKS=_tasks_setting(**params)),
        pytest.raises(framework.InvalidTaskBackend, match=words),
    ):
        tasks.double.enqueue(1)


def test_an_empty_list_of_queues_allows_every_name(tmp_path: Path) -> None:
    assert framework.task_backends["Any"].queues == set()
    result = tasks.double.using(backend="Any", queue_name="odd").enqueue(4)
    memory = router.backend("Any")
    if isinstance(memory, MemoryBackend):
        assert [job.queue_name for job in memory.jobs] == ["odd"]
        return
    argv = (sys.executable, "-m", "django", "taskbridge", "worker", "-b", "Any", "-Q", "odd", "--no-scheduler")
    deadline = time.monotonic() + PATIENCE.total_seconds()
    with Process(Command(argv=argv, environment={}), log=tmp_path / "log") as process:
        while not (result.refresh() or result.is_finished):
            assert process.running, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
    assert (result.return_value, result.task.queue_name, result.backend) == (8, "odd", "Any")


def test_a_worker_of_every_queue_serves_those_that_tasks_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import_tasks(())
    assert served_queues("Any") == router.settings.queues
    monkeypatch.setattr(registry.get(tasks.fail.module_path), "options", TaskOptions(backend="Any", queue_name="seen"))
    assert served_queues("Any") == (*router.settings.queues, "seen")
    assert served_queues("default") == ("default", "mail")


def test_a_backend_without_a_store_supports_no_results_and_runs_all_the_same() -> None:
    options = {"url": "celery+amqp://127.0.0.1:1"}
    with override_settings(TASKS=_tasks_setting(OPTIONS=options)):
        backend = framework.task_backends["default"]
        assert backend.supports_get_result is False
        with pytest.raises(NotImplementedError):
            backend.get_result("any")
        with pytest.raises(NotImplementedError):
            asyncio.run(backend.aget_result("any"))
