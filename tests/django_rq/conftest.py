"""A Django project on an empty Redis: parts of TaskBridge's side, programs of its legacy side, workers of both."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from taskbridge.process import Command, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from taskbridge.services import Server

LEGACY = Path(__file__).parents[1] / "legacy"
ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=40)


class Project:
    """One Django project."""

    def __init__(self, url: str, folder: Path) -> None:
        self.redis = Redis.from_url(url)
        self.folder = folder
        self.ledger = folder / "ledger"
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "project",
            "SHOP_REDIS": url,
            "SHOP_LEDGER": str(self.ledger),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(LEGACY / "django_rq"))),
        }
        self._closing = ExitStack()

    def part(self, name: str, url: str = "django+rq://default", **environment: str) -> Any:
        """What one part of `tests.django_rq.part` gives; a refusal is given as its text."""
        argv = (sys.executable, "-m", "tests.django_rq.part", name, url)
        process = self._start(argv, environment)
        code = process.wait(within=PATIENCE)
        lines = process.output().splitlines()
        assert lines, code
        return json.loads(lines[-1]) if code == 0 else lines[-1]

    def worker(self, url: str = "django+rq://default") -> Process:
        """A worker that TaskBridge runs."""
        command = self.part("commands", url)
        return self._start(tuple(command["argv"]), command["environment"])

    def legacy(self, *arguments: str) -> Process:
        """A program of the project where TaskBridge cannot be imported."""
        return self._start((sys.executable, str(LEGACY / "without_taskbridge.py"), *arguments), {"PYTHONPATH": ""})

    def _start(self, argv: tuple[str, ...], environment: Mapping[str, str]) -> Process:
        directory = LEGACY / "django_rq" if "without_taskbridge" in argv[1] else self.folder
        command = Command(argv=argv, environment={**self.environment, **environment}, directory=directory)
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
        """How many jobs of the queue `default` RQ has in a registry."""
        return int(self.redis.zcard(f"rq:{registry}:default"))

    def close(self) -> None:
        self._closing.close()
        self.redis.close()


@pytest.fixture
def project(redis_server: Server, tmp_path: Path) -> Iterator[Project]:
    """A Django project on an empty Redis database."""
    project = Project(redis_server.fresh_url(), tmp_path)
    try:
        yield project
    finally:
        project.close()
