"""The user that a program runs as."""

from __future__ import annotations

import os
import pwd
from typing import NamedTuple


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
