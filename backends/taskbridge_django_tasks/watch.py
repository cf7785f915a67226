"""Which workers are dead: those that cannot run any more, and those whose lease nobody has renewed at several looks."""

from __future__ import annotations

from typing import Final, NamedTuple

from taskbridge.process.liveness import fate

PREFIX: Final = "taskbridge-"
"""Of our worker ids, before the mark of the worker's process. A row in the hands of any other worker is never touched:
it holds no lease, dead or alive."""
LOOK_SECONDS = 2.0
"""How often a worker renews its lease, and looks at those of all."""
LOOKS = 4
"""So many looks in a row that find a lease as it was, by whomever, tell that its worker is dead."""


class Lease(NamedTuple):
    """What is known of one worker."""

    changed_at: int
    """Microseconds, by the database's clock."""
    looks: int
    """Of anybody, in vain, since the worker has renewed it."""
    stopping: bool
    """It was asked to leave: that it is gone is no crash."""
    age: float = 0.0
    """Seconds since the last change when it was read; negative if the clock was set back."""


def is_gone(worker_id: str, /) -> bool:
    """Whether the worker is known to be dead, at once. False also of those that nothing can be known of here."""
    return fate(worker_id.removeprefix(PREFIX)) == "dead"


def looks_worth(lease: Lease, /) -> int:
    """As how many looks one at the lease counts now: none where its worker is not late, or the last look was just now.

    The clock spaces the looks and does no more: one that is set brings a single look too early. Where observers are
    rare, since they are killed as soon as they begin, one that comes long after the last counts as two; not after a
    minute, when rather the clock was set or the database was away.
    """
    looks_late = abs(lease.age) / LOOK_SECONDS
    if looks_late < (0.9 if lease.looks else 1.5):
        return 0
    return 2 if 2.2 <= looks_late < 30 else 1
