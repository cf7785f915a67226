"""A Django project on an empty Redis: parts of TaskBridge's side, programs of its legacy side, workers of both."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.process import Command, Process
from tests.rq.shop import LEGACY, PATIENCE, LedgerShop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskbridge.services import Server

ROOT = Path(__file__).parents[2]


class Project(LedgerShop):
    """One Django project."""

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
        ours = {
            "DJANGO_SETTINGS_MODULE": "project",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(LEGACY / "django_rq"))),
        }
        directory = LEGACY / "django_rq" if "without_taskbridge" in argv[1] else self.folder
        return self.start(Command(argv=argv, environment={**ours, **environment}, directory=directory))


@pytest.fixture
def project(redis_server: Server, tmp_path: Path) -> Iterator[Project]:
    """A Django project on an empty Redis database."""
    project = Project(redis_server.fresh_url(), tmp_path)
    try:
        yield project
    finally:
        project.close()
