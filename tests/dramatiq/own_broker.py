"""An application's own broker with all that Dramatiq adds by default, and one of its own actors."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Retries, ShutdownNotifications, TimeLimit

import taskbridge
from tests.dramatiq.application import note

broker = RedisBroker(
    url=os.environ.get("OWN_REDIS", "redis://127.0.0.1:1/0"),
    middleware=[
        AgeLimit(max_age=300),
        TimeLimit(time_limit=300, interval=100),
        ShutdownNotifications(notify_shutdown=True),
        Retries(min_backoff=10, max_backoff=20),
    ],
)  # type: ignore[no-untyped-call]  # it has no annotations


@dramatiq.actor(broker=broker, max_retries=2, max_age=None)
def own_actor() -> None:
    note("own actor")
    raise ValueError("as Dramatiq retries")


@taskbridge.task(name="fails")
def fails() -> None:
    note("fails")
    raise ValueError("once")


@taskbridge.task(name="retried", retry=taskbridge.Retry(3, delay=timedelta(0), on=(Exception,)))
def retried() -> None:
    note("retried")
    raise ValueError("three times")


@taskbridge.task(name="long", takes_context=True)
def long(context: taskbridge.Context, seconds: float) -> None:
    note("long", attempt=context.attempt)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    note("long ended")
