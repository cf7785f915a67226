"""The plain script, on four engines."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.examples.example import copy

URLS = {
    "huey+sqlite": "huey+sqlite:///./queue.db",
    "rq+redis": "rq+{redis_url}",
    "celery+redis": "celery+{redis_url}",
    "dramatiq+redis": "dramatiq+{redis_url}",
}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", URLS)
def test_the_script_prints_what_its_worker_computed(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = URLS[backend]
    if "redis" in backend:
        url = url.format(redis_url=request.getfixturevalue("redis_url"))
    example = copy("script", tmp_path, url)
    digest = hashlib.sha256((example.folder / "tasks.py").read_bytes()).hexdigest()
    with example.running("taskbridge", "worker", "-A", "tasks"):
        ran = example.run("python", "main.py", "tasks.py", "missing.txt")
    assert ran.stdout == f"{digest}  tasks.py\n", ran.stderr
    assert "missing.txt: [Errno 2] No such file or directory" in ran.stderr
    assert ran.returncode == 1
