"""Real Celery workers, and the ledger that their tasks write."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import taskbridge
from taskbridge.backend import WorkerOptions
from taskbridge.process import Process
from taskbridge.router import router
from tests.celery import application
from tests.waiting import until

READY = r"ready\."
START = timedelta(seconds=30)
STOP = timedelta(seconds=15)


class Ledger:
    """What tasks wrote, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [line for line in map(json.loads, lines) if line["event"] == event]

    def wait(self, event: str, *, count: int = 1, seconds: float = 20) -> list[dict[str, Any]]:
        """Wait until `event` was written `count` times."""
        until(lambda: len(self.events(event)) >= count, seconds=seconds, what=f"{count} x {event!r}")
        return self.events(event)


def start_worker(
    folder: Path,
    *,
    queues: tuple[str, ...] = ("default",),
    concurrency: int = 1,
    native_arguments: tuple[str, ...] = (),
    imports: tuple[str, ...] = (application.__name__,),
) -> Process:
    """A worker of the backend that is configured, ready to work."""
    options = WorkerOptions(
        queues=queues, concurrency=concurrency, grace=STOP, imports=imports, native_arguments=native_arguments
    )
    (command,) = router.backend().worker_commands(options)
    worker = Process(command, log=folder / f"worker-{time.monotonic_ns()}.log")
    try:
        worker.wait_for_line(READY, within=START)
    except BaseException:
        worker.kill_tree()
        raise
    return worker


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv(application.LEDGER, str(tmp_path / "ledger"))
    return Ledger(tmp_path / "ledger")


@pytest.fixture(params=["redis", "amqp"])
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of an empty part of a broker, as TaskBridge writes it."""
    kind, option = {"redis": ("redis_server", ""), "amqp": ("rabbitmq_server", "")}[request.param]
    return f"celery+{request.getfixturevalue(kind).fresh_url()}{option}"


@pytest.fixture
def configured(broker: str) -> str:
    """The broker, with TaskBridge configured for it."""
    taskbridge.configure(broker, queues=("default", "other"))
    return broker


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    yield
    router.configure(None)
