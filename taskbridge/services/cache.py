"""Where this user's downloads and records lie."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/taskbridge/services` or `~/.cache/taskbridge/services`, made if it is not there.

    A user without a home that can be written (`nobody`) has a folder of the temporary directory instead.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    wanted = (Path(home) if home else Path("~/.cache").expanduser()) / "taskbridge" / "services"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        if os.access(wanted, os.W_OK):
            return wanted
    except (OSError, RuntimeError):
        pass
    fallback = Path(tempfile.gettempdir()) / f"taskbridge-services-{os.geteuid()}"
    fallback.mkdir(mode=0o700, exist_ok=True)
    state = fallback.lstat()
    if state.st_uid != os.geteuid() or state.st_mode & 0o077 or fallback.is_symlink():
        raise PermissionError(f"{fallback} is not a private folder of this user: remove it, or set XDG_CACHE_HOME")
    return fallback


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keeps this user's other processes from installing or fetching meanwhile; they wait."""
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
