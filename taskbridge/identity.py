"""Job ids: UUIDs of version 7, so that they sort by time, from one system call a batch."""

from __future__ import annotations

import os
import time

_VARIANT = 0x8000
_RANDOM_BYTES = 10


def new_ids(count: int, /) -> list[str]:
    """Fresh ids in ascending order of time. Safe in threads and after `os.fork()`: nothing is kept between calls."""
    milliseconds = time.time_ns() // 1_000_000
    head = f"{milliseconds:012x}"
    head = f"{head[:8]}-{head[8:]}-7"
    noise = os.urandom(_RANDOM_BYTES * count).hex()
    return [_format(head, noise[start : start + 20]) for start in range(0, 20 * count, 20)]


def new_id() -> str:
    """One fresh id."""
    return new_ids(1)[0]


def _format(head: str, noise: str) -> str:
    variant = _VARIANT | (int(noise[3:7], 16) & 0x3FFF)
    return f"{head}{noise[:3]}-{variant:04x}-{noise[7:19]}"
