"""Schedulers that stop in the middle of their work and wait to be killed: `python -m tests.scheduler.dying ...`."""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta

import taskbridge
from taskbridge.router import router
from taskbridge.scheduler import release, ticks
from tests.scheduler import shop


def stall(step: str) -> None:
    """Say what has been done, and wait to be killed."""
    os.write(1, f"{step}\n".encode())
    time.sleep(300)


def release_until(url: str, step: str) -> None:
    """Hand over what is due, up to a step."""
    taskbridge.configure(url)
    store = router.store()
    assert store is not None
    backend = router.backend()
    if step == "claimed":
        backend.enqueue = lambda _messages: stall(step)  # type: ignore[method-assign]  # the moment of the kill
    if step == "enqueued":
        store.handed_over = lambda _claimed: stall(step)  # type: ignore[method-assign]  # as above
    release.SPAN = timedelta(seconds=3)  # type: ignore[misc]  # a test does not wait for half a minute
    release.Release("default", store).beat()


def tick_until(url: str, step: str, path: str) -> None:
    """Enqueue the tick that is due, up to a step."""
    taskbridge.configure(url)
    store = router.store()
    assert store is not None
    if step == "claimed":
        router.backend().enqueue = lambda _messages: stall(step)  # type: ignore[method-assign]  # the moment of the kill
    if step == "enqueued":
        store.tick_done = lambda *_args, **_kwargs: stall(step)  # type: ignore[assignment,method-assign]  # as above
    ticks.SPAN = timedelta(seconds=3)  # type: ignore[misc]  # a test does not wait for half a minute
    ticks.Ticks("default", store, [shop.daily(path)]).beat()


if __name__ == "__main__":
    steps = sys.argv[2:]
    if sys.argv[1] == "release":
        release_until(*steps)
    else:
        tick_until(*steps)
