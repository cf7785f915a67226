"""The process of one attempt, which RQ calls a work horse: its end, its parent's end, and SIGTERM."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from resource import struct_rusage
    from types import FrameType

PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent: int | None, /) -> None:
    """Be killed when the worker dies, on Linux: nobody would renew the lease, and the job runs again elsewhere."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def ended(pid: int, /, *, within: float) -> tuple[int, int, struct_rusage] | None:
    """What `os.wait4` says of a child that ends within so many seconds; None if it runs on.

    Raises:
        ChildProcessError: there is no such child.
    """
    if hasattr(os, "pidfd_open"):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError as error:
            raise ChildProcessError from error
        try:
            select.select([handle], [], [], within)
        finally:
            os.close(handle)
        found = os.wait4(pid, os.WNOHANG)
    else:  # no Linux
        deadline = time.monotonic() + within
        while not (found := os.wait4(pid, os.WNOHANG))[0] and time.monotonic() < deadline:
            time.sleep(0.01)
    return found if found[0] else None


def ignore_sigterm() -> None:
    """Ignore it in this process; programs that it starts, and processes that it forks, end by it as ever."""
    horse = os.getpid()

    def ignore(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != horse:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, ignore)
