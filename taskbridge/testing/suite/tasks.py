"""The tasks that the suite enqueues. Each writes what it does into the ledger."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

from taskbridge import Context, Retry, task
from taskbridge.errors import WaitsInTask
from taskbridge.testing.suite.ledger import write

BRIEFLY = timedelta(milliseconds=200)


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
def failing(key: str) -> None:
    """Fail always."""
    write("start", key)
    raise ValueError(f"asked to fail: {key}")


@task(takes_context=True, retry=Retry(4, delay=BRIEFLY, jitter=False, on=(Exception,)))
def flaky(context: Context, key: str, succeeds_at: int) -> None:
    """Fail until the attempt `succeeds_at`."""
    write("start", key, attempt=context.attempt, id=context.id, metadata=dict(context.metadata))
    if context.attempt < succeeds_at:
        raise ConnectionError(f"attempt {context.attempt}")
    write("end", key, attempt=context.attempt)


@task(retry=Retry(5, delay=BRIEFLY, give_up_on=(KeyError,), on=(Exception,)))
def gives_up(key: str) -> None:
    """Fail with an error that is not worth another attempt."""
    write("start", key)
    raise KeyError(key)


@task(takes_context=True, retry=Retry(3, delay=timedelta(minutes=5), on=(Exception,)))
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


@task
def waits(key: str, job: str) -> None:
    """Wait for another job, which holds a worker that it may need."""
    try:
        add.get_result(job).wait(timeout=BRIEFLY)
    except WaitsInTask as refusal:
        write("end", key, refusal=str(refusal))


@task
async def awaits_result(key: str, job: str) -> None:
    """The same, on an event loop."""
    try:
        await add.get_result(job).await_(BRIEFLY)
    except WaitsInTask as refusal:
        write("end", key, refusal=str(refusal))


@task(result=True)
def returns_unserialisable() -> Any:
    """Return what no store can keep."""
    return object()


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


@task
def defaults(job: str, first: int = 1, /, *rest: str, flag: bool = False, **named: Any) -> None:
    """Take arguments of every kind, each with a default."""
    write("end", job, values=[first, list(rest), flag, named])


@task(backend="second", queue_name="second")
def elsewhere(key: str) -> None:
    """Run on another backend, by declaration."""
    write("end", key)


@task
def enqueues(key: str, value: Any) -> None:
    """Enqueue another job."""
    echo.enqueue(key, value)


@task
async def enqueues_from_loop(key: str, value: Any) -> None:
    """The same, from an event loop."""
    await echo.aenqueue(key, value)


class TooManyRequests(Exception):
    """An error that says when to come back."""

    retry_after = 1.5


@task(retry=Retry(2, delay=timedelta(0), on=(Exception,)))
def throttled(key: str) -> None:
    """Fail with a wish for the delay."""
    write("start", key)
    raise TooManyRequests


@task(takes_context=True, retry=Retry(4, delay=BRIEFLY, on=(OSError,)))
def fails_otherwise(context: Context, key: str) -> None:
    """Fail with an error that the policy names, then with another."""
    write("start", key)
    raise OSError if context.attempt == 1 else ValueError(f"asked to fail: {key}")


@task(takes_context=True, retry=Retry(3, delay=BRIEFLY, on=(Exception,)))
async def flaky_on_loop(context: Context, key: str) -> None:
    """Fail once, on an event loop."""
    write("start", key, attempt=context.attempt)
    await asyncio.sleep(0)
    if context.attempt == 1:
        raise ConnectionError
    write("end", key, attempt=context.attempt)


@task(takes_context=True, retry=Retry(3, delay=BRIEFLY, on=(Exception,)), result=True)
def flaky_with_result(context: Context) -> int:
    """Fail twice, then return the number of the attempt."""
    if context.attempt < 3:
        raise ConnectionError(f"attempt {context.attempt}")
    return context.attempt


@task(takes_context=True, cancellable=True)
def runs_until_cancelled(context: Context, key: str) -> None:
    """Run until somebody cancels it, a minute and a half at most."""
    write("start", key)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if context.cancelled:
            write("cancelled", key)
            context.raise_if_cancelled()
        time.sleep(0.1)
    write("end", key)
