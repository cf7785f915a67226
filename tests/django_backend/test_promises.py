"""What Django's documentation promises of tasks and their backends holds on engines of ours, and on both Djangos."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conformance.backends import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskbridge.services import Server

HERE = ROOT / "tests" / "django_backend"
PROMISES = tuple(sorted((HERE / "promises").glob("[!_]*.py")))
ENGINES = {
    "memory": "memory://",
    "huey+sqlite": "huey+sqlite:///{folder}/queue.db",
    "celery+redis": "celery+{redis}",
    "rq+redis": "rq+{redis}",
    "dramatiq+redis": "dramatiq+{redis}",
    "django+db": "django+db://native",
    "django+rq": "django+rq://redis",
}

IN_MAKE_TEST = ("memory", "huey+sqlite", "rq+redis")
"""`make promises` takes all. The Django example runs on others in `make test`, and on all in `make wide`."""


def keeps_its_promises(
    name: str,
    request: pytest.FixtureRequest,
    folder: Path,
    *arguments: str,
    python: str = sys.executable,
    tests: Sequence[Path] = PROMISES,
) -> None:
    """Run the promises in a process that is a Django project on this engine."""
    url = ENGINES[name].replace("{folder}", str(folder))
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.django_backend.settings",
        "PYTHONPATH": str(ROOT),
        "TEST_DATABASE": f"sqlite:///{folder}/django.db",
        "TEST_SIGNALS": str(folder / "signals"),
    }
    if "redis" in url or "+rq" in url:
        server: Server = request.getfixturevalue("redis_server")
        redis = server.fresh_url()
        url = url.replace("{redis}", redis)
        if name == "django+rq":
            environment["TEST_REDIS"] = redis
    environment["TEST_TASKS_URL"] = url
    if "django" in url or tests != PROMISES:
        subprocess.run([python, "-m", "django", "migrate", "-v0"], env=environment, check=True, timeout=120)
    if tests == PROMISES:
        arguments = ("-p", "tests.django_backend.worker", *arguments)
    ran = subprocess.run(
        [
            python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly",
            "-p", "tests.django_backend.project", *arguments, *map(str, tests),
        ],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ENGINES if os.environ.get("TASKBRIDGE_TEST_PROMISES") == "all" else IN_MAKE_TEST)
def test_the_promises_hold(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    keeps_its_promises(name, request, tmp_path)


@pytest.mark.timeout(300)
def test_a_project_has_a_test_case_system_checks_and_commands(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    keeps_its_promises("memory", request, tmp_path, tests=(HERE / "project_tests.py",))
