"""Tasks that take time: until a limit, a file, or each other."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge import Retry, task
from taskbridge.testing.suite.ledger import write

if TYPE_CHECKING:
    from collections.abc import Callable


@task(timeout=timedelta(seconds=0.5))
def sleeps(key: str, seconds: float) -> None:
    """Sleep in one blocking call."""
    _watched(key, lambda: time.sleep(seconds))


@task(timeout=timedelta(seconds=0.5))
def computes(key: str, seconds: float) -> None:
    """Keep the processor busy."""
    _watched(key, lambda: _spin(seconds))


@task(timeout=timedelta(seconds=0.5))
def steps(key: str, seconds: float) -> None:
    """Go from one short call to the next: it can be ended as one that computes, and leaves others the processor."""
    _watched(key, lambda: _step(seconds))


@task(timeout=timedelta(seconds=0.5))
def swallows(key: str, seconds: float) -> None:
    """Catch every Exception while it works."""

    def stubborn() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                _step(0.05)
            except Exception:  # noqa: BLE001 - what users write
                write("swallowed", key)

    _watched(key, stubborn)


@task(timeout=timedelta(seconds=0.5))
async def awaits(key: str, seconds: float) -> None:
    """Sleep on an event loop."""
    start = time.monotonic()
    try:
        await asyncio.sleep(seconds)
        write("end", key)
    finally:
        write("left", key, after=time.monotonic() - start)


@task(retry=Retry(2, delay=timedelta(milliseconds=200), on=(Exception,)), timeout=timedelta(seconds=0.5))
def too_slow(key: str) -> None:
    """Outlive the limit at every attempt."""
    write("start", key)
    _step(10)


@task(result=True)
def sleeps_on(key: str, seconds: float) -> None:
    """Sleep in one blocking call, without a limit."""
    write("start", key)
    _watched(key, lambda: time.sleep(seconds))


@task(result=True)
def computes_on(key: str, seconds: float) -> None:
    """Keep the processor busy, without a limit."""
    write("start", key)
    _watched(key, lambda: _spin(seconds))


@task(result=True)
async def awaits_on(key: str, seconds: float) -> None:
    """Sleep on an event loop, without a limit."""
    write("start", key)
    try:
        await asyncio.sleep(seconds)
        write("end", key)
    finally:
        write("left", key)


@task
def waits_for_file(key: str, path: str) -> None:
    """Hold the worker until a file appears."""
    write("start", key)
    _until_it_exists(path)
    write("end", key)


@task
def meets(key: str, mine: str, others: str) -> None:
    """Wait until another attempt runs too."""
    Path(mine).touch()
    _until_it_exists(others)
    write("end", key)


def _watched(key: str, work: Callable[[], object]) -> None:
    start = time.monotonic()
    try:
        work()
        write("end", key)
    finally:
        write("left", key, after=time.monotonic() - start)


def _until_it_exists(path: str) -> None:
    end = time.monotonic() + 60
    while not Path(path).exists():
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.01)


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _step(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.005)
