"""The tasks of these tests. Each leaves lines in a ledger, in one write that survives a SIGKILL."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import taskbridge
from tests.shop_ledger import written_lines

LEDGER = "TASKBRIDGE_TEST_LEDGER"
SLOW_SECONDS = 6
"""How long the task `slow` sleeps, whose `timeout` is one second."""


def note(event: str, **facts: Any) -> None:
    line = json.dumps({"event": event, "at": time.time(), "pid": os.getpid(), **facts})
    ledger = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(ledger, f"{line}\n".encode())
    finally:
        os.close(ledger)


def executions(text: str) -> int:
    """How many have begun of the task that notes this."""
    return sum(line["event"] == text for line in written_lines(Path(os.environ[LEDGER])))


def wait_at_gate(text: str, number: int) -> None:
    """Wait until the gate of this execution is opened: see `Ledger.open`."""
    gate = Path(os.environ[LEDGER]).with_name(f"{text}.{number}")
    deadline = time.monotonic() + 120
    while not gate.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@taskbridge.task(name="note")
def noted(text: str, value: Any = None) -> None:
    note(text, value=value)


@taskbridge.task(name="says")
def says(text: str) -> None:
    logging.getLogger("application").info(text)
    print(f"printed {text}", flush=True)


@taskbridge.task(name="gated")
def gated(text: str) -> None:
    note(text)
    wait_at_gate(text, executions(text))
    note(f"{text} ended")


@taskbridge.task(name="once", delivery="at_most_once")
def once(text: str) -> None:
    note(text)
    os.kill(os.getpid(), signal.SIGKILL)


@taskbridge.task(name="dies")
def dies(text: str, times: int) -> None:
    """Kill the process that runs it, `times` times."""
    note(text)
    if executions(text) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    note(f"{text} ended")


@taskbridge.task(
    name="dies_then_fails", retry=taskbridge.Retry(2, delay=timedelta(0), on=(Exception,)), takes_context=True
)
def dies_then_fails(context: taskbridge.Context, text: str) -> None:
    """Kill its process once, then fail as often as it is let."""
    note(text, attempt=context.attempt)
    if executions(text) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError(text)


@taskbridge.task(
    name="fail", retry=taskbridge.Retry(3, delay=timedelta(milliseconds=100), jitter=False, on=(Exception,))
)
def fail(text: str) -> None:
    note(text)
    raise ValueError(text)


@taskbridge.task(name="fails_twice", takes_context=True)
def fails_twice(context: taskbridge.Context, text: str) -> None:
    note(text, attempt=context.attempt, id=context.id, metadata=dict(context.metadata))
    if executions(text) < 3:
        raise ValueError(text)
    note(f"{text} ended")


@taskbridge.task(
    name="fails_gated",
    retry=taskbridge.Retry(2, delay=timedelta(milliseconds=100), on=(Exception,)),
    takes_context=True,
)
def fails_gated(context: taskbridge.Context, text: str) -> None:
    """Fail, for the first time when its gate is opened."""
    note(text, attempt=context.attempt)
    if executions(text) == 1:
        wait_at_gate(text, 1)
    raise ValueError(text)


@taskbridge.task(name="slow", timeout=timedelta(seconds=1))
def slow(text: str) -> None:
    note(text)
    try:
        time.sleep(SLOW_SECONDS)
    finally:
        note(f"{text} ended")


@taskbridge.task(name="legacy.total")
def total(price: Decimal, day: date, at: datetime, customer: UUID, raw: bytes, lines: list[int]) -> str:
    note("total", kinds=[type(value).__name__ for value in (price, day, at, customer, raw)])
    return f"{price} {day} {at.isoformat()} {customer} {raw.decode()} {sum(lines)}"


@taskbridge.task(
    name="legacy.flaky", retry=taskbridge.Retry(3, delay=timedelta(0), on=(Exception,)), takes_context=True
)
def flaky(context: taskbridge.Context, text: str) -> int:
    note(text, attempt=context.attempt)
    if context.attempt < 3:
        raise ValueError(text)
    return context.attempt


@taskbridge.task(name="legacy.add")
def add(a: int, b: int) -> int:
    return a + b


@taskbridge.on_worker_start
def started() -> None:
    note("worker started")


@taskbridge.on_worker_stop
def stopped() -> None:
    note("worker stopped")
