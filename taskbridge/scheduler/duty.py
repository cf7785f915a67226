"""What a scheduler does again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import timedelta


class Duty(Protocol):
    """Work that one process at a time does, under the lease `duty:NAME`, as long as it lives.

    A holder that is paused for longer than its lease is replaced, and may come back in the middle of a beat: what must
    not be done twice is claimed in the store as well, piece by piece.
    """

    @property
    def name(self) -> str:
        """The same in every process that may do this work, and another for each store's share of it."""
        ...

    def beat(self) -> timedelta:
        """Do a bounded portion, of two seconds or so, and say how long there is nothing more to do.

        What it raises is logged; the duty is then another process's, if there is one, and tried again later.
        """
        ...
