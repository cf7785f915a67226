"""What `import taskbridge` costs and what it must not load."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ENGINES = {"celery", "kombu", "dramatiq", "rq", "huey", "django"}
OPTIONAL = {"click", "jinja2", "pika", "psycopg", "pytest", "redis", "rich"}
BUDGET = 0.060  # seconds, on a machine that imports asyncio in 41 ms; a slower or a busier one gets more
REFERENCE = 0.041
# A user's second start finds the compiled files of the first.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
PAIRS = 20


def test_importing_the_core_loads_no_engine_and_no_optional_dependency() -> None:
    code = "import sys, taskbridge; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    loaded = set(run(code).split())
    assert "taskbridge" in loaded
    assert loaded & (ENGINES | OPTIONAL) == set()


def test_importing_the_core_costs_at_most_60_ms_more_than_an_empty_interpreter() -> None:
    run("import taskbridge")
    empty, reference, loaded = [], [], []
    for _ in range(PAIRS):  # interleaved, so that a busy moment of the machine falls on all
        empty.append(seconds("pass"))
        reference.append(seconds("import asyncio"))
        loaded.append(seconds("import taskbridge"))
        allowed = BUDGET * max(1.0, (min(reference) - min(empty)) / REFERENCE)
        if min(loaded) - min(empty) <= allowed:
            return
    pytest.fail(f"{1000 * (min(loaded) - min(empty)):.0f} ms, where {1000 * allowed:.0f} are allowed")


def run(code: str) -> str:
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=30).stdout


def seconds(code: str) -> float:
    """Of processor time, which other processes disturb less than the clock on the wall."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], ENVIRONMENT)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    return usage.ru_utime + usage.ru_stime
