"""The store of a backend: does it answer, and what has it buried?"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from taskbridge.check.finding import Finding, error, note, warning
from taskbridge.errors import StoreUnavailable, TaskBridgeError
from taskbridge.store.letter import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.router import Router

OVERDUE = timedelta(minutes=2)
"""A scheduler that has just died, or a broker that is away for a moment, is no finding."""
COUNTED = 1000
"""Dead letters are counted up to here."""


def store_findings(alias: str, router: Router, /) -> Iterator[Finding]:
    """Reachability and dead letters."""
    try:
        store = router.store(alias)
        if store is None:
            yield note(
                "store",
                "there is none",
                consequence="Results, at_most_once and `taskbridge dead` are refused for this backend.",
                remedy="Name one in the URL if you want them: ?store=redis://host/0 or postgresql://...",
            )
            return
        store.read("taskbridge-check")
        left = store.until_due(alias)
        dead = sum(1 for _ in islice(store.letters(Selection(backend=alias)), COUNTED))
    except (StoreUnavailable, TaskBridgeError) as problem:
        yield error(
            "store",
            f"it does not answer: {problem}",
            consequence="Jobs with results cannot be enqueued, and dead letters stay on the broker.",
            remedy="Start it, or correct ?store=.",
        )
        return
    if left is not None and left < -OVERDUE:
        yield warning(
            "long delays",
            f"a job whose time came {-left.total_seconds():.0f} s ago still waits in the store",
            consequence="It does not run: no scheduler hands it over, or its broker does not take it.",
            remedy="Run `taskbridge worker` without --no-scheduler, or `taskbridge scheduler`, and read its log.",
        )
    if dead:
        yield note(
            "dead letters",
            f"{dead if dead < COUNTED else f'{COUNTED} or more'} jobs are kept as dead letters",
            consequence="They do not run again by themselves, and are deleted after 30 days.",
            remedy="Look at them: taskbridge dead list.",
        )
