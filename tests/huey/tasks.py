"""The tasks of these tests. Each writes down what it was given, as the legacy shop's tasks do."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from taskbridge import Context, Retry, task


def write(**what: object) -> None:
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@task(native={"huey": {"name": "shop.receipt"}})
def receipt(number: int, *, name: str) -> str:
    write(job="receipt", number=number, name=name, at=time.time())
    return f"receipt {number}"


@task(native={"huey": {"name": "shop.parcel"}})
def parcel(pair: tuple[int, set[int]], amount: Decimal, when: datetime) -> None:
    write(job="parcel", given=repr((pair, amount, when)))


@task(native={"huey": {"name": "shop.flaky"}})
def flaky() -> None:
    write(job="flaky")
    raise ValueError("no data")


@dataclass
class Line:
    """What no stock consumer knows."""

    price: int


@task
def billed(lines: tuple[Line, ...]) -> None:
    """Take a tuple of what no stock consumer knows."""


@task
def counted(counts: dict[int, str]) -> None:
    """Take keys that JSON has no type for."""


@task(takes_context=True)
def traced(context: Context) -> None:
    write(job="traced", id=context.id)


@task(retry=Retry(3, delay=timedelta(seconds=0.1), on=(Exception,)))
def retried() -> None:
    """Ask for what a stock consumer has not."""


@task(timeout=timedelta(seconds=2))
def limited() -> None:
    """Ask for what a stock consumer has not."""


@task(result=True)
def kept() -> int:
    """Ask for what a stock consumer has not."""
    return 1


@task
def where(queue: str) -> None:
    is_main = threading.current_thread() is threading.main_thread()
    write(job="where", queue=queue, pid=os.getpid(), parent=os.getppid(), is_main=is_main)


@task
def held() -> None:
    write(job="held")
    time.sleep(30)


@task(takes_context=True, retry=Retry(2, delay=timedelta(seconds=0.3), jitter=False, on=(Exception,)))
def counting(context: Context) -> None:
    write(job="counting", attempt=context.attempt, id=context.id, tenant=context.metadata["tenant"], at=time.time())
    raise ConnectionError(f"attempt {context.attempt}")


@task
def lasting(key: str, seconds: float) -> None:
    write(job="lasting", key=key, event="start", pid=os.getpid(), parent=os.getppid(), at=time.time())
    time.sleep(seconds)
    write(job="lasting", key=key, event="end", pid=os.getpid(), at=time.time())


@task
def deadly() -> None:
    write(job="deadly", pid=os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


@task(retry=Retry(5, delay=timedelta(seconds=0.2), jitter=False, on=(Exception,)), takes_context=True)
def failing_once_resumed(context: Context) -> None:
    write(job="resumed", attempt=context.attempt, pid=os.getpid())
    time.sleep(2)
    raise ConnectionError("after all")
