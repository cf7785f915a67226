"""The tasks of these tests. Each writes down what it was given, as the legacy shop's jobs do."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import taskbridge
from taskbridge import Context, Retry, task


def write(**what: object) -> None:
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@task(native={"rq": {"name": "shop.receipt"}})
def receipt(number: int, *, name: str) -> str:
    write(job="receipt", number=number, name=name)
    return f"receipt {number}"


@task(native={"rq": {"name": "shop.report"}})
def report(days: int) -> None:
    write(job="report", days=days)
    raise ValueError("no data")


@task
def moved(when: timedelta) -> None:
    """Take a value that JSON has no type for."""


@task(takes_context=True, retry=Retry(3, delay=timedelta(seconds=0.3), jitter=False))
def flaky(context: Context) -> None:
    write(job="flaky", attempt=context.attempt, at=time.time(), id=context.id)
    raise ConnectionError(f"attempt {context.attempt}")


@task(timeout=timedelta(seconds=2.5))
def limited() -> None:
    write(job="limited")


@task
def late() -> None:
    write(job="late", pid=os.getpid(), parent=os.getppid())


@taskbridge.on_worker_start
def started() -> None:
    write(job="start hook", pid=os.getpid())


@taskbridge.on_worker_stop
def stopped() -> None:
    write(job="stop hook", pid=os.getpid())
