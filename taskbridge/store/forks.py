"""What a fork of this process waits for: the statements of other threads on a SQLite file.

SQLite counts the locks on a file by process. A child that is forked while another thread holds one inherits the count,
but not the thread that would let go: in that child the file is locked for ever.
"""

from __future__ import annotations

import os
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from taskbridge.store.dialect import Dialect

PATIENCE_SECONDS: Final = 5.0
"""A fork goes ahead after it: a statement that takes so long waits for another process, and seldom holds a lock."""


class _Unforked:
    """A block, of any number of threads at once, during which no other thread forks the process."""

    def __init__(self) -> None:
        self._begin_anew()

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._changed:
            self._depths[me] = self._depths.get(me, 0) + 1

    def __exit__(self, *_: object) -> None:
        me = threading.get_ident()
        with self._changed:
            depth = self._depths.pop(me, 1) - 1
            if depth:
                self._depths[me] = depth
            else:
                self._changed.notify_all()

    def before_fork(self) -> None:
        self._changed.acquire()
        me = threading.get_ident()
        self._changed.wait_for(lambda: not self._depths.keys() - {me}, PATIENCE_SECONDS)

    def after_fork(self) -> None:
        self._changed.release()

    def _begin_anew(self) -> None:
        self._changed = threading.Condition()
        self._depths: dict[int, int] = {}


unforked: Final = _Unforked()

_FREE: Final = nullcontext()


def unforked_on(dialect: Dialect, /) -> AbstractContextManager[None]:
    """`unforked` where a database of this dialect counts its locks by process."""
    return unforked if dialect.name == "sqlite" else _FREE


os.register_at_fork(
    before=unforked.before_fork,
    after_in_parent=unforked.after_fork,
    after_in_child=unforked._begin_anew,  # noqa: SLF001  our own class
)
