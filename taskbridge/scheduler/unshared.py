"""Leases for duties that settle by themselves who does them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskbridge.store import Lease

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta


class Unshared:
    """Gives every lease to whoever asks."""

    def acquire(self, name: str, /, *, holder: str, span: timedelta) -> Lease | None:
        return Lease(name=name, holder=holder, token=1, until=datetime.now(UTC) + span)

    def renew(self, leases: Sequence[Lease], /, *, span: timedelta) -> frozenset[str]:  # noqa: ARG002 - nothing runs out
        return frozenset(lease.name for lease in leases)

    def release(self, leases: Sequence[Lease], /) -> None:
        """Nothing: nobody else waits for it."""

    def count(self, name: str, /, *, span: timedelta) -> int:
        """No duty's lease counts."""
        raise NotImplementedError(name, span)
