"""The tasks that the suite enqueues. Each writes what it does into the ledger."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import taskbridge
from taskbridge import Context, Retry, task
from taskbridge.testing.suite.ledger import write

BRIEFLY = timedelta(milliseconds=200)


class Colour(Enum):
    """An enum to carry."""

    RED = "red"


@dataclass(frozen=True)
class Address:
    """A dataclass to carry."""

    street: str
    since: date


@task
def note(key: str) -> None:
    """Run."""
    write("start", key)
    write("end", key)


@task
def echo(key: str, value: Any = None, *, option: Any = None) -> None:
    """Write down what arrived, without annotations."""
    write("end", key, value=value, option=option)


@task
def typed(
    key: str,
    when: datetime,
    amount: Decimal,
    ids: tuple[int, ...],
    names: frozenset[str],
    unit: UUID,
    raw: bytes,
    colour: Colour,
    address: Address | None = None,
) -> None:
    """Write down the values and types that arrived."""
    values = (when, amount, ids, names, unit, raw, colour, address)
    write("end", key, values=[repr(value) for value in values], types=[type(value).__name__ for value in values])


@task
async def on_loop(key: str) -> None:
    """Run on an event loop."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    write("end", key, loop=id(loop), pid=os.getpid())


@task
def failing(key: str) -> None:
    """Fail always."""
    write("start", key)
    raise ValueError(f"asked to fail: {key}")


@task(takes_context=True, retry=Retry(4, delay=BRIEFLY, jitter=False))
def flaky(context: Context, key: str, succeeds_at: int) -> None:
    """Fail until the attempt `succeeds_at`."""
    write("start", key, attempt=context.attempt, id=context.id, metadata=dict(context.metadata))
    if context.attempt < succeeds_at:
        raise ConnectionError(f"attempt {context.attempt}")
    write("end", key, attempt=context.attempt)


@task(retry=Retry(5, delay=BRIEFLY, give_up_on=(KeyError,)))
def gives_up(key: str) -> None:
    """Fail with an error that is not worth another attempt."""
    write("start", key)
    raise KeyError(key)


@task(takes_context=True, retry=Retry(3, delay=timedelta(minutes=5)))
def asks_again(context: Context, key: str) -> None:
    """Ask for one more attempt."""
    write("start", key, attempt=context.attempt)
    if context.attempt == 1:
        context.retry(after=BRIEFLY)
    write("end", key)


@task(takes_context=True)
def in_context(context: Context, key: str) -> None:
    """Write down the context."""
    write(
        "end",
        key,
        id=context.id,
        attempt=context.attempt,
        queue_name=context.queue_name,
        task=context.task,
        metadata=dict(context.metadata),
        deadline=context.deadline.isoformat() if context.deadline else None,
    )


@task(timeout=timedelta(seconds=0.5))
def sleeps(key: str, seconds: float) -> None:
    """Sleep in one blocking call."""
    _watched(key, lambda: time.sleep(seconds))


@task(timeout=timedelta(seconds=0.5))
def computes(key: str, seconds: float) -> None:
    """Keep the processor busy."""
    _watched(key, lambda: _spin(seconds))


@task(timeout=timedelta(seconds=0.5))
def swallows(key: str, seconds: float) -> None:
    """Catch every Exception while it works."""

    def stubborn() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                _spin(0.05)
            except Exception:  # noqa: BLE001 - what users write
                write("swallowed", key)

    _watched(key, stubborn)


@task(timeout=timedelta(seconds=0.5))
async def awaits(key: str, seconds: float) -> None:
    """Sleep on an event loop."""
    start = time.monotonic()
    try:
        await asyncio.sleep(seconds)
        write("end", key)
    finally:
        write("left", key, after=time.monotonic() - start)


@task(result=True)
def add(a: int, b: Decimal) -> Decimal:
    """Return something typed."""
    return a + b


@task(result=True)
def returns_nothing() -> None:
    """Return None, which is a value."""


@task(result=True)
def raises(key: str) -> None:
    """Fail with a result."""
    raise ValueError(f"asked to fail: {key}")


@task(result=True)
def returns_unserialisable() -> Any:
    """Return what no store can keep."""
    return object()


@task
def logs(key: str) -> None:
    """Look at what a log record of an attempt carries."""
    record = logging.getLogger("application").makeRecord("application", logging.INFO, "", 0, "hello", (), None)
    write("end", key, job=getattr(record, "taskbridge_job", None), task=getattr(record, "taskbridge_task", None))


@task
def waits_for_file(key: str, path: str) -> None:
    """Hold the worker until a file appears."""
    write("start", key)
    end = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < end:  # noqa: PTH110 - one system call a look
        time.sleep(0.01)
    write("end", key)


@taskbridge.on_final_failure
def remember_failure(context: Context, error: BaseException) -> None:
    """Write down that the hook was called."""
    if str(error).startswith("asked to fail: "):
        write("final failure", str(error).removeprefix("asked to fail: "), id=context.id, attempt=context.attempt)


def _watched(key: str, work: Any) -> None:
    start = time.monotonic()
    try:
        work()
        write("end", key)
    finally:
        write("left", key, after=time.monotonic() - start)


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@task
def reserved(
    key: str,
    *,
    timeout: Any,
    retry: Any,
    eta: Any,
    id: Any,  # noqa: A002 - the point of it
    priority: Any,
    delay: Any,
    expires: Any,
    meta: Any,
    args: Any,
    kwargs: Any,
) -> None:
    """Take keyword arguments that some engine's enqueue keeps for itself."""
    write("end", key, values=[timeout, retry, eta, id, priority, delay, expires, meta, args, kwargs])
