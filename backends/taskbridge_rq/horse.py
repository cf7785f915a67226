"""The process of one attempt, which RQ calls a work horse: what it does with its parent's death, and with SIGTERM."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent: int | None, /) -> None:
    """Be killed when the worker dies, on Linux: nobody would renew the lease, and the job runs again elsewhere."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def ignore_sigterm() -> None:
    """Ignore it in this process; programs that it starts, and processes that it forks, end by it as ever."""
    horse = os.getpid()

    def ignore(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != horse:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, ignore)
