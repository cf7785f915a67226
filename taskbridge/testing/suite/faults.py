"""Tasks that end in ways in which a task should not."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from taskbridge import Context, Retry, task
from taskbridge.testing.suite.ledger import write


class Unspeakable(Exception):
    """An error that cannot say what it is, nor travel."""

    def __init__(self, key: str, /, *, needed: Any) -> None:
        super().__init__(key)
        self.needed = needed

    def __str__(self) -> str:
        raise RuntimeError("no words")

    def __reduce__(self) -> Any:
        raise TypeError("this error does not travel")


@task(result=True)
def raises_unspeakable(key: str) -> None:
    """Raise an error that breaks those who print or pickle it."""
    write("start", key)
    raise Unspeakable(key, needed=object())


@task(result=True)
def raises_text(key: str, text: str) -> None:
    """Raise an error with this text, and a lone surrogate at its end."""
    write("start", key)
    raise ValueError(text + "\ud800")


@task(result=True)
def raises_chained(key: str) -> None:
    """Raise an error because of another."""
    write("start", key)
    try:
        os.environ["THE CAUSE"]
    except KeyError as error:
        raise ExceptionGroup("several", [ValueError("one"), OSError("two")]) from error


@task(result=True)
async def cancels(key: str) -> None:
    """Be cancelled by what it waits for."""
    write("start", key)
    asyncio.current_task().cancel()  # type: ignore[union-attr]  # a coroutine runs in a task
    await asyncio.sleep(0)


@task
def exits(key: str) -> None:
    """End as a script would."""
    write("start", key)
    sys.exit(f"asked to exit: {key}")


@task
def interrupts(key: str) -> None:
    """Raise what Ctrl-C raises."""
    write("start", key)
    raise KeyboardInterrupt(key)


@task(takes_context=True)
def asks_without_policy(context: Context, key: str) -> None:
    """Ask for another attempt, although nothing bounds their number."""
    write("start", key)
    context.retry()


@task(takes_context=True, retry=Retry(2, delay=timedelta(0), on=(Exception,)))
def asks_for_ever(context: Context, key: str) -> None:
    """Ask for another attempt each time."""
    write("start", key)
    context.retry()


@task(takes_context=True)
def fails_without_file(context: Context, key: str, path: str) -> None:
    """Fail until somebody has made the file."""
    if not Path(path).exists():
        raise FileNotFoundError(path)
    write("end", key, id=context.id, attempt=context.attempt, metadata=dict(context.metadata))
