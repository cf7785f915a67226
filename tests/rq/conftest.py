"""A shop on an empty Redis database: its ledger, its legacy programs, and workers of both kinds."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

import taskbridge
from taskbridge.backend import WorkerOptions
from taskbridge.process import Command, Process
from taskbridge.router import router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.services import Server

LEGACY = Path(__file__).parents[1] / "legacy"
PATIENCE = timedelta(seconds=40)


class Shop:
    """One application, on one database."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.redis = Redis.from_url(url)
        self.folder = folder
        self.ledger = folder / "ledger"
        self._closing = ExitStack()

    def configure(self, options: str = "") -> None:
        """Make this database TaskBridge's default backend."""
        taskbridge.configure(f"rq+{self.url}{options}", imports=["tests.rq.tasks"])

    def worker(self) -> Process:
        """A worker that TaskBridge runs, for the backend that is configured."""
        (command,) = router.backend().worker_commands(WorkerOptions(imports=("tests.rq.tasks",)))
        return self._start(command)

    def legacy(self, *arguments: str) -> Process:
        """A program of the shop, where TaskBridge cannot be imported."""
        argv = (sys.executable, str(LEGACY / "without_taskbridge.py"), *arguments)
        return self._start(Command(argv=argv, environment={"RQ_REDIS_URL": self.url}, directory=LEGACY / "rq"))

    def _start(self, command: Command) -> Process:
        environment = {**command.environment, "SHOP_LEDGER": str(self.ledger), "SHOP_REDIS": self.url}
        command = Command(argv=command.argv, environment=environment, directory=command.directory, label=command.label)
        log = self.folder / f"log-{len(list(self.folder.iterdir()))}"
        return self._closing.enter_context(Process(command, log=log))

    def written(self, job: str) -> list[dict[str, Any]]:
        """What jobs of this kind have written."""
        if not self.ledger.exists():
            return []
        entries = [json.loads(line) for line in self.ledger.read_text(encoding="utf-8").splitlines()]
        return [entry for entry in entries if entry["job"] == job]

    def until(self, holds: Callable[[], object], worker: Process) -> None:
        """Wait until something holds while the worker runs."""
        worker.wait_until(lambda: bool(holds()), within=PATIENCE, what="seen to do it")

    def count(self, registry: str) -> int:
        """How many jobs of the queue `default` RQ has in a registry: finished, failed, scheduled, wip, deferred."""
        return int(self.redis.zcard(f"rq:{registry}:default"))

    def close(self) -> None:
        self._closing.close()
        self.redis.close()


@pytest.fixture
def shop(redis_server: Server, tmp_path: Path) -> Iterator[Shop]:
    """A shop on an empty database."""
    configured = router.configured
    shop = Shop(redis_server.fresh_url(), tmp_path)
    try:
        yield shop
    finally:
        shop.close()
        router.configure(configured)
