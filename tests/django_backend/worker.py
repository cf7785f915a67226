"""A pytest plugin: the worker that runs the jobs of all promises, and how one waits for what it does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from taskbridge.django import framework
from taskbridge.process import Command, Process
from taskbridge.router import router
from taskbridge.testing import MemoryBackend
from tests.django_backend.shop import signals

PATIENCE = timedelta(seconds=60)
READY, RUNNING, FAILED, SUCCESSFUL = (
    framework.TaskResultStatus.READY,
    framework.TaskResultStatus.RUNNING,
    framework.TaskResultStatus.FAILED,
    framework.TaskResultStatus.SUCCESSFUL,
)

Until = Callable[[Any, Callable[[Any], object]], Any]
Finish = Callable[[Any], Any]


@pytest.fixture(scope="session")
def backend() -> Any:
    return framework.task_backends["default"]


@pytest.fixture(scope="session", autouse=True)
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process | None]:
    """A worker that is told nothing: the settings say where the jobs are, the applications where the tasks are."""
    if isinstance(router.backend(), MemoryBackend):
        yield None
        return
    log = tmp_path_factory.mktemp("worker") / "log"
    command = Command(argv=(sys.executable, "-m", "django", "taskbridge", "worker"), environment={})
    with Process(command, log=log) as process:
        try:
            yield process
        finally:
            print(log.read_text()[-6000:])


@pytest.fixture(scope="session")
def until(worker: Process | None) -> Until:
    """Wait until a result is as it should be, whoever runs the job, and give it as it is then."""

    def until(result: Any, holds: Callable[[Any], object]) -> Any:
        memory = router.backend()
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while not holds(result):
            assert time.monotonic() < deadline, f"not seen within {PATIENCE}: {result}"
            if isinstance(memory, MemoryBackend):
                memory.run_all()
            else:
                assert worker is not None
                assert worker.running
                time.sleep(0.01)
            result.refresh()
        return result

    return until


@pytest.fixture(scope="session")
def finish(until: Until) -> Finish:
    """Wait for the end of a job, and give its result as it is then."""
    return lambda result: until(result, lambda result: result.is_finished)


def received(job_id: str, count: int) -> list[dict[str, Any]]:
    """The signals of a job, once there are so many: the last is sent after its result is recorded.

    The sender's own comes first, although a quick worker may begin before it is sent.
    """
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while len(signals.read(job_id)) < count:
        assert time.monotonic() < deadline, signals.read(job_id)
        time.sleep(0.01)
    return sorted(signals.read(job_id), key=lambda each: each["signal"] != "enqueued")
