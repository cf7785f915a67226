"""Catches a job between a Celery worker, which has written it, and the process of its pool, which has not read it."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.pauses import standing_still
from tests.waiting import until


@contextmanager
def given(process: int, enqueue: Callable[[], object]) -> Iterator[None]:
    """While this process of a pool stands still, and what `enqueue` enqueues has been written to it."""
    before = _unread(process)
    with standing_still(process):
        enqueue()
        until(lambda: _unread(process) > before, what="the job in the pipe")
        yield


def _unread(pid: int) -> int:
    """Bytes in the pipes of a process."""
    total = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if str(link.readlink()).startswith("pipe:"):
            pipe = os.open(link, os.O_RDONLY | os.O_NONBLOCK)
            total += struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]
            os.close(pipe)
    return total
