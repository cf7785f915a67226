"""Job ids: UUIDs of version 7, so that they sort by time, from one system call a batch."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""A random digit to one whose upper two bits say how the id is laid out."""
_RANDOM_BYTES = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_ids(count: int, /) -> list[str]:
    """Fresh ids in ascending order of time. Safe in threads and after `os.fork()`: nothing is kept between calls."""
    milliseconds = time.time_ns() // 1_000_000
    head = _head(milliseconds)
    noise = os.urandom(_RANDOM_BYTES * count).hex()
    return [_format(head, noise[start : start + 20]) for start in range(0, 20 * count, 20)]


def new_id() -> str:
    """One fresh id."""
    return new_ids(1)[0]


def fixed_id(at: datetime, text: str, /) -> str:
    """The one id of this moment and text: of version 7 in form, and sorted by the moment as all are."""
    import hashlib  # a producer without schedules does not pay for it

    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    noise = hashlib.sha256(f"{microseconds} {text}".encode()).hexdigest()
    return _format(_head(microseconds // 1_000), noise)


def _head(milliseconds: int) -> str:
    head = f"{milliseconds:012x}"
    return f"{head[:8]}-{head[8:]}-7"


def _format(head: str, noise: str) -> str:
    return f"{head}{noise[:3]}-{_VARIANT[noise[3]]}{noise[4:7]}-{noise[7:19]}"
