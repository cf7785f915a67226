"""`taskbridge check`, as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TASKS = """
from datetime import timedelta
import taskbridge

@taskbridge.task(timeout=timedelta(seconds=5))
def short() -> None: ...
"""


PATH = os.pathsep.join(
    folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "rabbitmqctl").exists()
)
"""Without a system's `rabbitmqctl`, which takes seconds to say that it does not know a private node."""


def check(
    folder: Path, url: str, *arguments: str, tasks: str = TASKS, environment: Mapping[str, str] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and what was found."""
    (folder / "shop.py").write_text(tasks)
    done = subprocess.run(
        [sys.executable, "-m", "taskbridge", "check", "-A", "shop", "--json", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": PATH, "PYTHONPATH": str(folder), **(environment or {}), "TASKBRIDGE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    (backend,) = json.loads(done.stdout)["backends"]
    findings: list[dict[str, Any]] = backend["findings"]
    for finding in findings:
        assert finding["consequence"]
        assert finding["remedy"]
    assert done.returncode == any(finding["severity"] != "note" for finding in findings)
    return done.returncode, findings


def bad(findings: list[dict[str, Any]]) -> list[str]:
    return [finding["what"] for finding in findings if finding["severity"] != "note"]
