"""What tells a process, for certain and at once, that another of the same machine is dead.

A mark names one process for ever: the place where its number means something, that number, and when it began. Another
of the same place looks it up; for anybody else the answer is "unknown".
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

Fate = Literal["alive", "dead", "unknown"]

NOWHERE: Final = "nowhere"
"""The mark of a process whose system cannot tell."""

_MARK: Final = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,8})-([0-9]{1,20})(?![0-9a-z])")
_PROC: Final = Path("/proc")


def own_mark() -> str:
    """The mark of the calling process, of letters, digits and hyphens. A child of `os.fork()` has another."""
    place, pid = own_place(), os.getpid()
    found = _look(pid) if place else None
    return f"{place}-{pid}-{found[0]}" if found else NOWHERE


def own_place() -> str:
    """What the marks of all processes begin with whose fate can be known here; empty where none can.

    It is a digest of the host's name, its current boot, and the namespaces of process numbers and of clocks: containers
    of one machine are different places, unless they share those.
    """
    try:
        # A /proc that is another namespace's tells of other processes under these numbers.
        if str((_PROC / "self").readlink()) != str(os.getpid()):
            return ""
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii")
        facts = [os.uname().nodename, boot, str((_PROC / "self/ns/pid").readlink())]
    except OSError:
        return ""
    with suppress(FileNotFoundError):  # before Linux 5.6
        facts.append(str((_PROC / "self/ns/time").readlink()))
    return hashlib.sha256("\0".join(facts).encode(errors="surrogateescape")).hexdigest()[:16]


def fate(mark: str, /) -> Fate:
    """What has become of the process whose mark this text begins with.

    One that is stopped, or hangs, is alive. Whoever has taken over its number is another: the marked one is dead.
    """
    found = _MARK.match(mark)
    if found is None or found[1] != own_place():
        return "unknown"
    pid = int(found[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "dead"
    except OSError:
        pass  # somebody else's, which lives
    seen = _look(pid)
    if seen is None:
        return "unknown"  # hidden from us, or it went this very moment
    began, is_over = seen
    return "dead" if is_over or began != found[3] else "alive"


def _look(pid: int) -> tuple[str, bool] | None:
    """When it began, in ticks since the boot, and whether nothing of it runs any more; None if that is not told."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    state, *fields = stat.rpartition(b")")[2].decode("ascii").split()
    # A leader that has ended while other threads of it run is a zombie, too.
    return fields[18], state in "ZX" and int(fields[16]) <= 1
