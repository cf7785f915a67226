"""The shop's tasks, declared with TaskBridge under the names that the shop always used."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import taskbridge
from taskbridge import Context, Retry, task


def write(**what: object) -> None:
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@task(native={"django": {"name": "shop.receipt"}})
def receipt(number: int, *, name: str) -> str:
    write(job="receipt", number=number, name=name)
    return f"receipt {number}"


@task(native={"django": {"name": "shop.report"}})
def report(days: int) -> None:
    write(job="report", days=days)
    raise LookupError("no data")


@task(takes_context=True, result=True, retry=Retry(2, delay=timedelta(seconds=0.1), on=(Exception,)))
def flaky(context: Context) -> int:
    if context.attempt == 1:
        raise ConnectionError("once")
    return context.attempt


@task
def nowhere() -> None:
    """Be a task that is none of Django's."""


@task
def lasting() -> None:
    """Take long, when it is run the first time."""
    first = not Path(os.environ["SHOP_LEDGER"]).exists()
    write(job="began", pid=os.getpid())
    if first:
        time.sleep(60)


def listen() -> None:
    """Write down what Django's signals tell at the end of a job."""
    from django_tasks.signals import task_finished

    def receive(*, task_result: Any, **_: Any) -> None:
        write(job="told", status=task_result.status, name=task_result.task.module_path)

    task_finished.connect(receive, weak=False)


taskbridge.on_worker_start(listen)
