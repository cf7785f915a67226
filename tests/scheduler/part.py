"""A scheduler process with one duty, which writes down who does it: `python -m tests.scheduler.part STORE FILE`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

from taskbridge.scheduler import Scheduler
from taskbridge.store import open_store


class Noting:
    """Writes a line with its process id at each beat, in one write."""

    name = "noting"

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def beat(self) -> timedelta:
        os.write(self._file, f"{os.getpid()} {time.monotonic()}\n".encode())
        return timedelta(seconds=0.05)


def main(url: str, path: str) -> None:
    """Until SIGTERM."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with Scheduler(open_store(url), [Noting(Path(path))]):
        print("up", flush=True)
        stopped.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
