"""The user that a program runs as."""

from __future__ import annotations

import os
import pwd
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Identity(NamedTuple):
    """User, main group and further groups, as numbers."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, *names: str) -> Identity:
        """The first of these users that the machine knows. Raises LookupError if it knows none."""
        for name in names:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)))
        raise LookupError(f"no user {' or '.join(names)} on this machine")

    def may_enter(self, folder: Path) -> bool:
        """True if the permission bits of the folder, and of all above it, let this user in."""
        return all(self._may_search(step.stat()) for step in (folder.resolve(), *folder.resolve().parents))

    def _may_search(self, state: os.stat_result) -> bool:
        if state.st_uid == self.uid:
            return bool(state.st_mode & stat.S_IXUSR)
        if state.st_gid in {self.gid, *self.groups}:
            return bool(state.st_mode & stat.S_IXGRP)
        return bool(state.st_mode & stat.S_IXOTH)
