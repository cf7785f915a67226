"""The tasks of these tests. Each writes down what it was given, as the legacy shop's jobs do."""

from __future__ import annotations

import json
import os
import signal
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


@task(takes_context=True, retry=Retry(3, delay=timedelta(seconds=0.3), jitter=False, on=(Exception,)))
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


def wait_for(gate: str, within: float = 60) -> None:
    """Until the test makes a file of this name beside the ledger."""
    deadline = time.monotonic() + within
    while not Path(os.environ["SHOP_LEDGER"]).with_name(gate).exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@task
def gated(gate: str = "gate", *, then: str = "return") -> None:
    """Wait for a file, then return or fail. A process that runs it a second time waits for another file."""
    number = len([line for line in Path(os.environ["SHOP_LEDGER"]).read_text().splitlines() if '"began"' in line])
    write(job="began", pid=os.getpid(), parent=os.getppid(), at=time.time(), number=number, gate=gate)
    wait_for(f"{gate}-{number}")
    write(job="ended", pid=os.getpid(), number=number)
    if then == "raise":
        raise ValueError("as asked")


@task(retry=Retry(3, delay=timedelta(seconds=60), jitter=False, on=(Exception,)))
def gated_retry(gate: str = "gate") -> None:
    """Wait for a file, then ask for another attempt."""
    gated.function(gate, then="raise")


@task
def lasting(name: str, seconds: float) -> None:
    """Take a while."""
    write(job="began", name=name)
    time.sleep(seconds)
    write(job="ended", name=name)


@task
def poison() -> None:
    """Kill the process that runs it, as a kernel out of memory does."""
    write(job="poison", pid=os.getpid(), parent=os.getppid())
    os.kill(os.getpid(), signal.SIGKILL)


@task(native={"rq": {"result_ttl": 0}})
def brief() -> None:
    """Leave nothing behind."""
    write(job="brief")


@task(delivery="effectively_once", key="{key}")
def shipped(key: str) -> None:
    write(job="shipped", key=key)
