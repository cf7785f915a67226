"""A shop on RQ: its legacy programs, and workers of both kinds."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import taskbridge
from taskbridge import services
from taskbridge.backend import WorkerOptions
from taskbridge.process import Command, Process
from taskbridge.router import router
from taskbridge.services import Options
from tests.rq.shop import LEGACY, LedgerShop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskbridge.services import Server


class Shop(LedgerShop):
    """One application, on one database."""

    def configure(self, options: str = "") -> None:
        """Make this database TaskBridge's default backend."""
        taskbridge.configure(f"rq+{self.url}{options}", imports=["tests.rq.tasks"])

    def worker(self, kind: str = "taskbridge_rq.Worker", *, grace: timedelta = timedelta(seconds=30)) -> Process:
        """A worker that TaskBridge runs, for the backend that is configured. `kind` may name a class that has a bug."""
        options = WorkerOptions(imports=("tests.rq.tasks",), grace=grace)
        (command,) = router.backend().worker_commands(options)
        argv = tuple(kind if word == "taskbridge_rq.Worker" else word for word in command.argv)
        return self.start(replace(command, argv=argv))

    def open_gate(self, number: int, gate: str = "gate") -> None:
        """Let the execution of a gated job that began as this one of all end."""
        (self.folder / f"{gate}-{number}").touch()

    def begun(self, worker: Process, times: int = 1) -> None:
        """Wait until gated or lasting jobs have begun so many times."""
        self.until(lambda: len(self.written("began")) == times, worker)

    def crashes(self, job_id: str) -> int:
        """How many executions of a job have ended with the death of their worker."""
        return int(self.redis.hget(f"rq:job:{job_id}", "taskbridge_crashes") or 0)

    def legacy(self, *arguments: str) -> Process:
        """A program of the shop, where TaskBridge cannot be imported."""
        argv = (sys.executable, str(LEGACY / "without_taskbridge.py"), *arguments)
        return self.start(Command(argv=argv, environment={"RQ_REDIS_URL": self.url}, directory=LEGACY / "rq"))


def opened(server: Server, folder: Path) -> Iterator[Shop]:
    configured = router.configured
    shop = Shop(server.fresh_url(), folder)
    try:
        yield shop
    finally:
        shop.close()
        router.configure(configured)


@pytest.fixture
def shop(redis_server: Server, tmp_path: Path) -> Iterator[Shop]:
    """A shop on an empty database."""
    yield from opened(redis_server, tmp_path)


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server for one test alone, which may kill it: it keeps what it holds."""
    with services.start_private("redis", options=Options(persistent=True)) as server:
        yield server


@pytest.fixture
def own_shop(own_server: Server, tmp_path: Path) -> Iterator[Shop]:
    """A shop on that server."""
    yield from opened(own_server, tmp_path)
