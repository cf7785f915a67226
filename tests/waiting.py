"""Waiting for what must come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


WAIT: Final = 45.0
"""Seconds within which what must come comes, on a busy machine too."""


def until(condition: Callable[[], object], *, seconds: float = WAIT, what: str = "it") -> None:
    """Wait until the condition holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} was not so within {seconds} s"
        time.sleep(0.01)
