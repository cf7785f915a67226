"""What is done to all processes of a worker at once."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from taskbridge.process import Process
    from taskbridge_compare.ledger import Ledger


def pids(worker: Process | None, /) -> list[int]:
    """The worker's processes; none if there is no worker."""
    return [process.pid for process in worker.tree()] if worker is not None else []


def freeze(worker: Process | None, /) -> None:
    """SIGSTOP every process: the worker takes no time and no job until `thaw`."""
    for process in worker.tree() if worker is not None else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()


def thaw(worker: Process | None, /) -> None:
    """SIGCONT every process."""
    for process in worker.tree() if worker is not None else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def exit_code(worker: Process, ledger: Ledger, seconds: float) -> int | None:
    """The worker's exit code, or None if it still runs after `seconds`."""
    until = time.monotonic() + seconds
    while worker.running and time.monotonic() < until:
        ledger.pause(0.05)
    return worker.wait(within=timedelta(0))
