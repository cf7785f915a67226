"""What runs inside a worker while an experiment watches: a ledger line before and after each attempt.

Only the standard library, and nothing of TaskBridge: a copy of this file lies beside every native application.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LEDGER_VARIABLE = "COMPARE_LEDGER"
_opened: dict[int, int] = {}


def record(event: str, key: str, **extra: object) -> None:
    """Append one line to this process's ledger."""
    pid = os.getpid()
    if pid not in _opened:  # a forked child opens its own file description
        _opened[pid] = os.open(os.environ[LEDGER_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    append(_opened[pid], event, key, extra)


def append(file: int, event: str, key: str, extra: dict[str, object]) -> None:
    """Append one line with one write: what was written survives a SIGKILL of the writer."""
    line = {
        "v": 1,
        "event": event,
        "key": key,
        "pid": os.getpid(),
        "thread": threading.get_ident(),
        "monotonic_ns": time.monotonic_ns(),
        "wall": time.time(),
        **extra,
    }
    encoded = (json.dumps(line, separators=(",", ":"), default=str) + "\n").encode()
    if os.write(file, encoded) != len(encoded):
        raise OSError("short write to the ledger: is its disk full?")


def attempt(function: Callable[..., Any], job: dict[str, Any]) -> Any:
    """Run one attempt of a job: its function, then `hold` more seconds of Python bytecode, all between ledger lines."""
    key = job["key"]
    intended = {"intended_ns": job["intended_ns"]} if "intended_ns" in job else {}
    record("start", key, task=function.__name__, parent=os.getppid(), **intended)
    try:
        result = function(**job["arguments"])
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        _hold(job.get("hold", 0.0))
    except BaseException as error:
        record("raise", key, error=type(error).__name__, message=str(error)[:200])
        raise
    record("end", key)
    return result


def _hold(seconds: float) -> None:
    # Short sleeps, so that an engine that raises into a thread at the next bytecode is given the chance.
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.02))
