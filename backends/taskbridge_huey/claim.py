"""Claims: what a worker has taken from the queue stays in the storage, under its name, until it is settled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

LEASE_SECONDS: Final = 8.0
"""How long a worker's claims are its own after its last sign of life."""
RENEWAL_SECONDS: Final = 2.0
"""How often a worker gives a sign of life."""
CRASH_MARK: Final = b"\ntaskbridge-crashes:"
"""Behind an element whose worker died, before the number of such deaths. A stock worker reads no further than the
pickle's end."""

_LONGEST_MARK = len(CRASH_MARK) + 10


@dataclass(frozen=True, slots=True)
class Claim:
    """An element that a worker has taken and not yet settled."""

    element: bytes
    """As it lies in the storage, which on Redis is how it is found there."""
    data: bytes
    """What Huey's serializer made."""
    crashes: int
    """How many earlier executions ended with the death of their worker."""
    row: int = 0
    """Its number in an SQL storage."""

    @property
    def token(self) -> str:
        """By what the storage knows it among the worker's claims."""
        return str(self.row) if self.row else hashlib.sha1(self.element).hexdigest()  # noqa: S324 - a name that Redis can compute too, not a secret


@dataclass(frozen=True, slots=True)
class Successor:
    """What takes the place of a claim or of a scheduled element, in the same step that removes it."""

    data: bytes
    priority: float = 0
    due: datetime | None = None
    """In Huey's own kind of time; None: it goes to the queue."""


@dataclass(frozen=True, slots=True)
class Due:
    """An element of the schedule whose time has come. It is still there."""

    element: bytes
    row: int = 0


class Claims(Protocol):
    """The claims of all workers on one queue. Every method may raise one of `unavailable`.

    A worker is named by a text that was never used before. What a worker held whose lease was not renewed in time is
    given to others; what it does about that claim later is refused.
    """

    is_blocking: bool
    """Whether `claim` waits for an element for a while."""
    unavailable: tuple[type[Exception], ...]

    def prepare(self) -> None:
        """Make what the storage needs to hold claims."""

    def claim(self, worker: str, settled: Claim | None, forgotten: Sequence[str] = (), /) -> Claim | None:
        """Take the next element; on the way settle an earlier claim, and delete what is stored under these keys."""

    def forget(self, keys: Sequence[str], /) -> None:
        """Delete what is stored under these keys of Huey's, such as the revocation of a job that has run."""

    def settle(self, worker: str, claim: Claim, successors: Sequence[Successor], /) -> bool:
        """Remove a claim and add what follows from it, both or neither; False if it was no longer the worker's."""

    def is_held(self, worker: str, claim: Claim, /) -> bool:
        """Whether the claim is still the worker's."""

    def give_back(self, worker: str, token: str | None = None, /, *, has_crashed: bool) -> int:
        """Put a claim at the head of the queue; without a token all of them, and end the lease. How many there were."""

    def renew(self, workers: Sequence[str], mark: str, /) -> dict[str, set[str]]:
        """Prolong the leases of workers, which run in the process with this mark (`taskbridge.process.liveness`).

        Returns the tokens of what each holds, as far as it may hold what it was never given.
        """

    def marks(self) -> Mapping[str, str]:
        """By worker, the mark of the process that it runs in."""

    def recover(self, dead: Sequence[str] = (), /) -> int:
        """Give back what these workers held and those whose lease is over, counting a crash for each; how many."""

    def due(self, now: datetime, limit: int, /) -> Sequence[Due]:
        """What the schedule holds that is due, soonest first."""

    def move(self, due: Due, successors: Sequence[Successor], /) -> bool:
        """As `settle`, for an element of the schedule; False if another was faster."""


def marked(data: bytes, crashes: int, /) -> bytes:
    """The data with its number of crashes."""
    return data + CRASH_MARK + b"%d" % crashes if crashes else data


def unmarked(data: bytes, /) -> tuple[bytes, int]:
    """The reverse of `marked`."""
    at = data.rfind(CRASH_MARK, max(0, len(data) - _LONGEST_MARK))
    count = data[at + len(CRASH_MARK) :] if at >= 0 else b""
    return (data[:at], int(count)) if count.isdigit() else (data, 0)
