"""Tasks as Django's documentation writes them. Only the second half knows TaskBridge."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import django
from django.db import transaction
from django.utils import timezone

from taskbridge import Retry, current_context, periodic
from taskbridge.django import options

if TYPE_CHECKING or django.VERSION < (6, 0):
    from django_tasks import task, task_backends
else:
    from django.tasks import task, task_backends


@task
def double(number):  # type: ignore[no-untyped-def]  # as an application writes it
    """Twice the number."""
    return number * 2


@task
def echo(*args: Any, **kwargs: Any) -> Any:
    """What it was called with."""
    return [args, kwargs]


@task(queue_name="mail")
def fail(message: str) -> None:
    """Fails."""
    raise ValueError(message)


@task(takes_context=True)
def tell(context: Any, word: str) -> dict[str, Any]:
    """What the task sees of its own job."""
    own = context.task_result
    kept = task_backends[own.backend].get_result(own.id)
    return {
        "attempt": context.attempt,
        "id": own.id,
        "status": own.status,
        "kept_status": kept.status,
        "args": own.args,
        "kwargs": own.kwargs,
        "worker_ids": own.worker_ids,
        "kept_worker_ids": kept.worker_ids,
        "word": word,
    }


@task
async def later(number: int) -> int:
    """A coroutine."""
    await asyncio.sleep(0.001)
    return number + 1


@task
def now() -> float:
    """When it ran, in seconds since 1970."""
    return time.time()


@task
def unkeepable() -> object:
    """Returns what JSON cannot hold."""
    return object()


@task(backend="immediate")
def declared_elsewhere(number: int) -> int:
    """Belongs to another backend, unless `using` says otherwise."""
    return number


@task(backend="native")
def native(word: str) -> str:
    """Django's own jobs on the same database."""
    return word


@task
def typed(amount: Decimal, when: datetime) -> Decimal:
    """Annotations that Django would not carry."""
    assert timezone.is_aware(when)
    return amount + 1


def plain(number: int) -> int:
    """A function, for tests that declare it."""
    return number


def takes_context(context: Any) -> None:
    """The same, with a context."""


@task(takes_context=True)
@options(retry=Retry(3, delay=timedelta(0), on=(ValueError,)), metadata={"shop": "ann"})
def stubborn(context: Any, failures: int) -> list[int]:
    """Fails so many times; gives the attempt, how many workers there were, and how many errors."""
    if context.attempt <= failures:
        raise ValueError(f"attempt {context.attempt}")
    return [context.attempt, len(context.task_result.worker_ids), len(context.task_result.errors)]


@task
@options(delivery="effectively_once", key="{order}")
def bill(order: str) -> str:
    """Done once for each order, whoever asks for it."""
    return f"bill of {order}, {time.time()}"


@task
@options(retry=Retry(2, delay=timedelta(minutes=10), on=(ValueError,)))
def patient() -> None:
    """Fails, and waits long before it is run again."""
    raise ValueError("not now")


@periodic(cron="0 0 29 2 *", args=["leap day"])
@task(queue_name="mail", takes_context=True)
@options(result=True)
def greet(context: Any, word: str) -> list[Any]:
    """By the clock: the word, and whether Django's context is of this job."""
    return [word, context.task_result.id == current_context().id]


@task
@options(retry=Retry(2, delay=timedelta(0), on=()), cancellable=True, metadata={"shop": "ann"})
def look() -> dict[str, Any]:
    """What TaskBridge's context tells a task of Django's own, and what it can do."""
    context = current_context()
    if context.attempt == 1:
        context.retry(after=timedelta(0))
    return {
        "id": context.id,
        "attempt": context.attempt,
        "metadata": context.metadata,
        "queue": context.queue_name,
        "cancelled": context.cancelled,
    }


@task
def charge() -> list[bool]:
    """Whether it is the first to do its work, asked twice."""
    with transaction.atomic():
        return [current_context().once(), current_context().once()]


@task
async def look_from_a_coroutine() -> list[str]:
    """The id of its job, in a coroutine and in a thread that it waits for."""
    in_thread = await asyncio.to_thread(current_context)
    return [current_context().id, in_thread.id]


class Broken(Exception):
    """An error of the application's own."""


def declare_with_keywords() -> Any:
    """Options as keywords of Django's decorator, which Django 6.0 does not forward."""
    return task(retry=Retry(2, delay=timedelta(0), on=(Broken,)), expires=timedelta(hours=1))(plain)
