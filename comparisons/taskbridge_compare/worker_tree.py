"""What is done to all processes of a worker at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskbridge.process import Process
    from taskbridge_compare.ledger import Ledger

_STILL_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.002


def pids(worker: Process | None, /) -> list[int]:
    """The worker's processes; none if there is no worker."""
    return [process.pid for process in worker.tree()] if worker is not None else []


def freeze(worker: Process | None, /) -> list[int]:
    """SIGSTOP every process, those too that are being forked: nothing of the worker runs until `thaw`. Their pids."""
    frozen: set[int] = set()
    while fresh := [pid for pid in pids(worker) if pid not in frozen]:
        for pid in fresh:
            frozen.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        _wait_until_still(fresh)
    return sorted(frozen)


def thaw(worker: Process | None, /) -> None:
    """SIGCONT every process."""
    for process in worker.tree() if worker is not None else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def _wait_until_still(pids: Iterable[int]) -> None:
    """A signal stops one thread, and that one the others: on a busy machine they run on for tens of milliseconds."""
    until = time.monotonic() + _STILL_SECONDS
    while any(_runs(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)


def _runs(pid: int) -> bool:
    """True if any thread of this process is neither stopped nor over."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            state = stat.read_bytes().rpartition(b")")[2].split()[0]
            if state not in (b"T", b"t", b"Z", b"X"):
                return True
    return False


def exit_code(worker: Process, ledger: Ledger, seconds: float) -> int | None:
    """The worker's exit code, or None if it still runs after `seconds`."""
    until = time.monotonic() + seconds
    while worker.running and time.monotonic() < until:
        ledger.pause(0.05)
    return worker.wait(within=timedelta(0))
