"""What Celery does on each broker, and what TaskBridge adds."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from taskbridge.capability import Capabilities, Support, emulated, native, refused
from taskbridge.worker import Deadline, Expiry, Results, Retries

CONSUMER_TIMEOUT: Final = timedelta(minutes=30)
"""RabbitMQ's own default: a worker that holds a message for longer loses its channel."""


def record(
    *, is_redis: bool, max_priority: int, has_main_thread: bool, visibility: timedelta, has_store: bool
) -> Capabilities:
    """With workers that TaskBridge runs."""
    return Capabilities(
        at_least_once=_at_least_once(is_redis),
        at_most_once=native("acknowledged before a process of the pool gets the job"),
        retry=emulated(Retries, cost="one message more for each further attempt, which a worker holds until it is due"),
        timeout=emulated(Deadline, cost="a timer for each attempt with a limit"),
        prompt_timeout=(
            native("an attempt has its process's main thread, where a signal interrupts a blocking call")
            if has_main_thread
            else refused("thread workers: a blocking call is not interrupted. Use ?pool=prefork.")
        ),
        expires=emulated(Expiry, cost="a comparison before each attempt"),
        run_after=_run_after("visibility timeout", visibility)
        if is_redis
        else _run_after("consumer timeout", CONSUMER_TIMEOUT),
        priority=_priority(is_redis, max_priority),
        result=(
            emulated(Results, cost="three writes a job to the store")
            if has_store
            else refused(
                "RabbitMQ cannot hold results. Name a store: ?store=redis://host/0 (or postgresql://, sqlite:///)"
            )
        ),
        context=native("a header more of Celery's message"),
    )


def _at_least_once(is_redis: bool) -> Support:
    if is_redis:
        return refused(
            "Kombu takes a message from its Redis list and notes it as unacknowledged in two steps: a worker that dies "
            "between them loses it. Use celery+amqp, or another engine that acknowledges."
        )
    return native("acknowledged after the run; a killed process's job is published again, at most three times")


def _run_after(limit: str, value: timedelta) -> Support:
    return native(
        f"a worker holds the job until it is due; half of the broker's {limit} of {value} is kept for its run",
        ceiling=value / 2,
    )


def _priority(is_redis: bool, max_priority: int) -> Support:
    if is_redis:
        return native("four lists: above 0, 0, down to -50, below; served in this order")
    if max_priority:
        return native(f"x-max-priority: -100..100 becomes 0..{max_priority}, in proportion")
    return refused(
        "a RabbitMQ queue has priorities only if it was made with them. Write ?priority=10; an existing queue has to "
        "be deleted first."
    )
