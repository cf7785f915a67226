"""The tasks of these tests. Each writes down what it was given, as the legacy shop's do."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection
from django_tasks_db.compat import task_enqueued, task_finished, task_started

from taskbridge import Context, Retry, task


def write(**what: object) -> None:
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@task(native={"django": {"name": "shop.receipt"}})
def receipt(number: int, *, name: str) -> str:
    write(job="our receipt", number=number, name=name)
    return f"our receipt {number}"


@task
def note(value: Any = None) -> None:
    write(job="note", value=value)


@task(result=True)
def add(a: int, b: int) -> int:
    return a + b


@task(takes_context=True, retry=Retry(3, delay=timedelta(seconds=0.3), jitter=False, on=(Exception,)))
def flaky(context: Context) -> None:
    write(job="flaky", attempt=context.attempt, at=time.time(), id=context.id)
    raise ConnectionError(f"attempt {context.attempt}\0")


@task(result=True, timeout=timedelta(seconds=0.5))
def asks_slowly() -> None:
    """Wait for the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")


@task
def leaves() -> None:
    sys.exit(3)


@task
def kills() -> None:
    """Take the worker along."""
    write(job="kills")
    os.kill(os.getpid(), signal.SIGKILL)


@task(takes_context=True, retry=Retry(2, delay=timedelta(0), jitter=False, on=(Exception,)))
def kills_once(context: Context, marker: str) -> None:
    """Take the worker along, then fail until the attempts are used up."""
    write(job="kills once", attempt=context.attempt)
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    raise ConnectionError("not yet")


@task
def holds(path: str) -> str:
    """Wait until a file appears."""
    write(job="holds", pid=os.getpid())
    end = time.monotonic() + 40
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.02)
    write(job="held")
    return "held"


@task
def holds_in_turn(first: str, second: str) -> None:
    """The first attempt waits for one file, the next for another."""
    turn = Path(first).parent / "turn"
    awaited = Path(second if turn.exists() else first)
    turn.touch()
    write(job="holds", pid=os.getpid())
    end = time.monotonic() + 40
    while not awaited.exists() and time.monotonic() < end:
        time.sleep(0.02)
    write(job="lets go", pid=os.getpid())


@task
def holds_with(values: Any, number: int) -> None:
    """Wait, for nothing."""
    write(job="holds", values=repr(values), number=number)
    time.sleep(40)


@task
def session() -> None:
    """Tell which connection this attempt has."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_backend_pid()")
        else:
            cursor.execute("SELECT 0")
        write(job="session", connection=cursor.fetchone()[0], wrapped=id(connection.connection))


@task
async def session_of_a_coroutine() -> None:
    """The same for a coroutine, whose queries run in a thread of asgiref's."""
    await sync_to_async(session.function)()


def listen(signal: Any, kind: str) -> None:
    def receive(sender: object, task_result: Any, **_: object) -> None:
        sender = (
            sender if isinstance(sender, type) else type(sender)
        )  # the stock worker sends task_started from an instance
        write(
            job="signal",
            kind=kind,
            task=task_result.task.module_path,
            status=str(task_result.status.value),
            sender=sender.__name__,
        )

    signal.connect(receive, weak=False)


if os.environ.get("SHOP_LISTENS"):
    listen(task_enqueued, "enqueued")
    listen(task_started, "started")
    listen(task_finished, "finished")
