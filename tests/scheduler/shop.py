"""Tasks of the scheduler's tests, and processes that die in the middle of its work."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import taskbridge
from taskbridge.router import router
from taskbridge.scheduler import release


@taskbridge.task(result=True)
def note(path: str, text: str) -> None:
    """Add a line: the text and the time."""
    with Path(path).open("a") as file:
        file.write(f"{text} {datetime.now(UTC).isoformat()}\n")


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


if __name__ == "__main__":
    release_until(*sys.argv[1:])
