"""What every store of results does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.store.record import NewRecord, Record
    from taskbridge.store.transition import Transition


class ResultStore(Protocol):
    """Durable records of jobs. Safe to share between threads, and usable in a child after `os.fork()`.

    Every method raises `StoreUnavailable` when the store does not answer within its stated time.
    """

    def queued(self, jobs: Sequence[NewRecord], /) -> None:
        """Record jobs that are about to be sent, in one round trip. An id that is recorded already stays as it is."""

    def record(self, job: NewRecord, transition: Transition, /) -> None:
        """Write one transition, atomically, in one round trip; a job without a record gets one."""

    def forget(self, ids: Sequence[str], /) -> None:
        """Delete records: the jobs were certainly not accepted by the broker."""

    def read(self, job_id: str, /) -> Record | None:
        """The record; None if there is none, or if it has expired."""

    def close(self) -> None:
        """Give back connections. The store may be used again afterwards."""
