"""The suite's hooks, and the tasks that see what they did."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import taskbridge
from taskbridge import Context, task
from taskbridge.testing.suite.ledger import VARIABLE, write

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTED: list[str] = []
"""The start hooks that ran in this process or, before a fork, in its parent."""
WORKER = "worker"
"""The key in the ledger under which workers tell of themselves."""

around: ContextVar[str] = ContextVar("around", default="nothing")
_runs_of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, int] = weakref.WeakKeyDictionary()


class Kept(logging.NullHandler):
    """A handler that the application gives to the root logger."""


logging.getLogger().addHandler(Kept())


@taskbridge.on_worker_start
def fail_at_start() -> None:
    """Fail, which must not stop the worker nor the hooks that follow."""
    STARTED.append("fail_at_start")
    raise RuntimeError("a start hook that fails")


@taskbridge.on_worker_start
def remember_start() -> None:
    """Write down that a process starts to run attempts."""
    STARTED.append("remember_start")


@taskbridge.on_worker_stop
def fail_at_stop() -> None:
    """Fail, which must not keep the hooks that follow from running."""
    raise RuntimeError("a stop hook that fails")


@taskbridge.on_worker_stop
def remember_stop() -> None:
    """Write down that a worker ends in peace."""
    if VARIABLE in os.environ:
        write("stop", WORKER)


@taskbridge.around_attempt
@contextmanager
def stand_around(context: Context) -> Iterator[None]:
    """Do what the job's metadata asks for."""
    key = context.metadata.get("around")
    if key is None:
        yield
        return
    write("enter", key, attempt=context.attempt, id=context.id)
    token = around.set(key)
    try:
        if context.metadata.get("fails at") == context.attempt:
            raise ConnectionError("a hook that fails around an attempt")
        yield
    finally:
        around.reset(token)
        write("leave", key)


@taskbridge.on_final_failure
def fail_at_final_failure(_context: Context, error: BaseException) -> None:
    """Fail, which must not keep the hooks that follow from running."""
    if str(error).startswith("asked to fail: "):
        raise RuntimeError("a failure hook that fails")


@taskbridge.on_final_failure
def remember_failure(context: Context, error: BaseException) -> None:
    """Write down that the hook was called."""
    if str(error).startswith("asked to fail: "):
        write("final failure", str(error).removeprefix("asked to fail: "), id=context.id, attempt=context.attempt)


@task
def sees_start(key: str) -> None:
    """Write down which start hooks have run."""
    write("end", key, started=STARTED)


@task
def sees_around(key: str) -> None:
    """Write down what a hook around this attempt has set."""
    write("end", key, around=around.get())


@task
async def sees_around_on_loop(key: str) -> None:
    """The same, on an event loop."""
    await asyncio.sleep(0)
    write("end", key, around=around.get())


@task
async def on_loop(key: str) -> None:
    """Write down how many coroutines this event loop has run."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    runs = _runs_of_loops[loop] = _runs_of_loops.get(loop, 0) + 1
    write("end", key, runs=runs, thread=threading.get_ident())


@task
def sees_root_logger(key: str) -> None:
    """Write down what became of the root logger."""
    write("end", key, is_kept=any(type(handler) is Kept for handler in logging.getLogger().handlers))


@task
def logs(key: str) -> None:
    """Write down what a log record of this attempt carries."""
    write("end", key, **_record())


@task
async def logs_on_loop(key: str) -> None:
    """The same, on an event loop."""
    await asyncio.sleep(0)
    write("end", key, **_record())


def _record() -> dict[str, Any]:
    record = logging.getLogger("application").makeRecord("application", logging.INFO, "", 0, "hello", (), None)
    return {name: getattr(record, f"taskbridge_{name}", None) for name in ("job", "task", "attempt")}
