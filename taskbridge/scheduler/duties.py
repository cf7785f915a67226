"""Which duties a backend has."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from taskbridge.outbox import Relay, open_outbox
from taskbridge.outbox.databases import shown, urls
from taskbridge.router import router
from taskbridge.scheduler.release import releases
from taskbridge.scheduler.scheduler import Scheduler
from taskbridge.scheduler.skew import skews
from taskbridge.scheduler.ticks import ticks
from taskbridge.scheduler.unshared import Unshared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from taskbridge.scheduler.duty import Duty
    from taskbridge.store import Store

FACTORIES: Final[tuple[Callable[[str, Store | None], Iterable[Duty]], ...]] = (releases, ticks, skews)
"""Each gives the duties of one kind, for the backend of this alias and its store."""


def duties_of(alias: str, store: Store | None, /) -> list[Duty]:
    """What is to be done for the backend of this alias, with the store it has."""
    return [duty for factory in FACTORIES for duty in factory(alias, store)]


@contextlib.contextmanager
def scheduling(aliases: Sequence[str], tell: Callable[[str], None], /) -> Iterator[list[str]]:
    """Do the duties of these backends until the block ends; gives their names, which may be none."""
    with contextlib.ExitStack() as running:
        names = []
        for alias in aliases:
            store = router.store(alias)
            duties = duties_of(alias, store)
            if store is not None and duties:
                running.enter_context(Scheduler(store, duties, tell=tell))
            names += [duty.name for duty in duties]
        for relay in _relays() if aliases else ():
            running.callback(relay.close)
            running.enter_context(Scheduler(Unshared(), [relay], tell=lambda _words: None))
            names.append(relay.name)
        yield names


def _relays() -> list[Relay]:
    """One for each database of the application that has an outbox. Which process relays is settled in that database."""
    return [Relay(open_outbox(url), name=f"outbox {shown(url)}") for url in urls(router.settings)]
