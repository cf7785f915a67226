"""One object a process, since neither threads nor the locks that they hold live on in a forked child."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Made at its first use in each process."""

    def __init__(self, make: Callable[[], T], /) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: T | None = None
        self._pid = 0
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self) -> T:
        """This process's own."""
        with self._lock:
            if self._made is None or self._pid != os.getpid():
                self._made, self._pid = self._make(), os.getpid()
            return self._made

    def made(self) -> T | None:
        """This process's own, if it has been used."""
        return self._made if self._pid == os.getpid() else None

    def _forget(self) -> None:
        # Another thread may have held it when the process was forked.
        self._lock = threading.Lock()
