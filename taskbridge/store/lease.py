"""A lease: the right to do one thing alone, until a moment."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Lease(Struct, frozen=True, kw_only=True):
    """What its holder shows to renew it, and to those who must refuse a holder that has been replaced."""

    name: str
    holder: str
    """Who has it: a name that no other process or thread uses."""
    token: int
    """The fencing token. Whoever gets the lease next has a larger one, for ever."""
    until: datetime
    """Aware, by the clock of the store's server. Only the token says for certain whether the lease is still held."""
