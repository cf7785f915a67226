"""One line for each signal, in the file that the environment names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def task_enqueued(sender: type[Any], task_result: Any, **_: Any) -> None:
    _write("enqueued", sender, task_result)


def task_started(sender: type[Any], task_result: Any, **_: Any) -> None:
    _write("started", sender, task_result)


def task_finished(sender: type[Any], task_result: Any, **_: Any) -> None:
    _write("finished", sender, task_result)


def read(job_id: str) -> list[dict[str, Any]]:
    """What was received of one job, in order."""
    file = Path(os.environ["TEST_SIGNALS"])
    lines = file.read_text().splitlines() if file.exists() else []
    return [line for text in lines if (line := json.loads(text))["id"] == job_id]


def _write(name: str, sender: type[Any], result: Any) -> None:
    line = {
        "signal": name,
        "sender": f"{sender.__module__}.{sender.__qualname__}",
        "id": result.id,
        "task": result.task.module_path,
        "status": str(result.status),
        "backend": result.backend,
        "args": result.args,
        "kwargs": result.kwargs,
        "attempts": result.attempts,
        "errors": [error.exception_class_path for error in result.errors],
        "value": result.return_value if result.status == "SUCCESSFUL" else None,
        "times": [moment and moment.isoformat() for moment in (result.enqueued_at, result.started_at)],
    }
    handle = os.open(os.environ["TEST_SIGNALS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, (json.dumps(line) + "\n").encode())
    finally:
        os.close(handle)
