"""The tasks of these tests. Each leaves a line in the ledger when it starts, in one write that survives a SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import taskbridge


def note(event: str, **facts: Any) -> None:
    line = json.dumps({"event": event, "at": time.time(), "pid": os.getpid(), **facts})
    ledger = os.open(os.environ["TASKBRIDGE_TEST_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(ledger, f"{line}\n".encode())
    finally:
        os.close(ledger)


@taskbridge.task(native={"dramatiq": {"name": "note"}})
def note_text(text: str, when: datetime | None = None) -> None:
    note(text, when=when.isoformat() if when else None)


@taskbridge.task(
    native={"dramatiq": {"name": "fail"}},
    retry=taskbridge.Retry(3, delay=timedelta(milliseconds=200), jitter=False, on=(Exception,)),
)
def fail(text: str, times: int = 99) -> None:
    note(text)
    raise ValueError(text)


@taskbridge.task(
    native={"dramatiq": {"name": "context"}},
    takes_context=True,
    retry=taskbridge.Retry(3, delay=timedelta(0), on=(Exception,)),
)
def context(context: taskbridge.Context, text: str) -> None:
    note(text, attempt=context.attempt, metadata=context.metadata, id=context.id)
    if context.attempt < 3:
        raise ValueError(text)


@taskbridge.task(native={"dramatiq": {"name": "hold"}})
def hold(text: str, seconds: float) -> None:
    note(text)
    time.sleep(seconds)
    note(f"{text} ended")


@taskbridge.task(
    native={"dramatiq": {"name": "fail_when_told"}},
    retry=taskbridge.Retry(2, delay=timedelta(0), on=(Exception,)),
    takes_context=True,
)
def fail_when_told(context: taskbridge.Context, path: str) -> None:
    note("told", attempt=context.attempt)
    while not Path(path).exists():
        time.sleep(0.01)
    if context.attempt == 1:
        raise ValueError(path)


@taskbridge.task(native={"dramatiq": {"name": "hold_until_told"}})
def hold_until_told(text: str, folder: str) -> None:
    note(text)
    while not (Path(folder) / str(os.getpid())).exists():
        time.sleep(0.01)
    note(f"{text} ended")


@taskbridge.task(native={"dramatiq": {"name": "kill_own_worker"}})
def kill_own_worker(text: str) -> None:
    note(text)
    os.kill(os.getpid(), signal.SIGKILL)


@taskbridge.task(native={"dramatiq": {"name": "add"}}, result=True)
def add(a: int, b: int) -> int:
    return a + b


@taskbridge.on_worker_start
def started() -> None:
    note("worker started")


@taskbridge.on_worker_stop
def stopped() -> None:
    note("worker stopped")


if "TASKBRIDGE_WORKER_OPTIONS" not in os.environ:

    @taskbridge.task(native={"dramatiq": {"name": "nobody_has_it"}})
    def nobody_has_it() -> None: ...
