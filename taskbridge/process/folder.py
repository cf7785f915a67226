"""A temporary folder that does not outlive us."""

from __future__ import annotations

import os
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import Self

# `read` ends when the pipe does: the kernel closes it even after SIGKILL. Then the keepers kill
# what still writes here at the same moment, hence the second try.
_GUARD = """trap "" INT TERM HUP
read -r word
%s
rm -rf -- "$1"
[ "$word" = now ] || { sleep 1; rm -rf -- "$1"; }
"""


class GuardedFolder:
    """A new folder that only its owner can enter, removed by `remove()`, or by a tiny watching shell when we die."""

    def __init__(self, *, prefix: str, before_removal: str = "", below: Path | None = None) -> None:
        """`before_removal` is shell, with the folder in $1, that releases what the files in it name.

        `below` is the folder in which it is made: the usual one for temporary files, if None.
        """
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=below))
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD % before_removal, "taskbridge-folder", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._remove = weakref.finalize(self, _remove, self._guard)
        _FOLDERS.add(self)

    def remove(self) -> None:
        """Remove the folder and all in it."""
        _FOLDERS.discard(self)
        self._remove()

    def _let_go(self) -> None:
        if self._remove.detach() and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.returncode = 0  # it is our parent's child; else its collection would warn

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def _remove(guard: subprocess.Popen[bytes]) -> None:
    guard.communicate(b"now\n")


_FOLDERS: weakref.WeakSet[GuardedFolder] = weakref.WeakSet()


def _forget_in_fork() -> None:
    """A forked copy of us neither removes the folder nor keeps its guard waiting."""
    for folder in list(_FOLDERS):
        folder._let_go()  # noqa: SLF001  our own class
    _FOLDERS.clear()


os.register_at_fork(after_in_child=_forget_in_fork)
