"""The duty after a deploy: what older code could not run is run by the code that can."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from taskbridge.errors import RedriveRefused, UndecodableMessage
from taskbridge.redrive import redrive
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.signatures import code_fingerprint
from taskbridge.store import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskbridge.scheduler.duty import Duty
    from taskbridge.store import DeadLetter, Store
    from taskbridge.task import Task

logger = logging.getLogger("taskbridge.scheduler")

REASONS: Final = ("unknown task", "wrong signature")
REST: Final = timedelta(seconds=5)
OVERLAP: Final = timedelta(minutes=1)
"""How far a look goes back behind the one before it: the clocks of machines differ."""
LONGEST_PAUSE: Final = timedelta(minutes=5)
"""A job that older workers take again and again is given back ever later, up to this."""
AT_ONCE: Final = 1_000
"""Letters that one beat looks at."""


class Skew:
    """Redrives the dead letters of unknown tasks and of arguments that did not fit, where this code knows better.

    Each version of the code has a duty of its own: one that does not know a task must not keep one from it that does.
    """

    def __init__(self, alias: str, store: Store, window: timedelta) -> None:
        self.name = f"skew:{alias}:{code_fingerprint(registry)}"
        self._alias = alias
        self._store = store
        self._window = window
        self._since = datetime.min.replace(tzinfo=UTC)
        """What was buried earlier has been looked at."""
        self._later: set[str] = set()
        """Letters of jobs that this code can run, which older workers have just given back."""

    def beat(self) -> timedelta:
        """Look at what was left for later, and at a portion of the letters that are new."""
        now = datetime.now(UTC)
        since = max(now - self._window, self._since)
        tasks = registry.by_wire_name(router.backend(self._alias))
        if self._later:
            left = list(self._store.letters(Selection(ids=tuple(self._later), backend=self._alias)))
            self._later = {letter.id for letter in left}
            for letter in left:
                self._look_at(letter, tasks, now)
        letters = self._store.letters(Selection(backend=self._alias, since=since))
        for letter in islice(letters, AT_ONCE):
            self._look_at(letter, tasks, now)
            self._since = letter.buried_at
        if next(letters, None) is not None:
            return timedelta(0)
        self._since = now - OVERLAP
        return REST

    def _look_at(self, letter: DeadLetter, tasks: Mapping[str, Task[..., Any, Any]], now: datetime) -> None:
        if letter.reason not in REASONS or not _fits(letter, tasks):
            return
        self._later.add(letter.id)
        if letter.buried_at + _pause(letter) <= now:
            self._redrive(letter)
            self._later.discard(letter.id)

    def _redrive(self, letter: DeadLetter) -> None:
        try:
            redrive(letter.id, self._store)
        except RedriveRefused as error:
            logger.warning("The job %s could run now, and is not enqueued again: %s", letter.id, error)
        else:
            logger.info("The job %s (%s) is enqueued again, since its task is known here.", letter.id, letter.reason)


def _fits(letter: DeadLetter, tasks: Mapping[str, Task[..., Any, Any]]) -> bool:
    message = letter.message
    task = tasks.get(message.task) if message is not None else None
    if message is None or task is None:
        return False
    try:
        task.codec.decode(message.args, message.kwargs)
    except UndecodableMessage:
        return False
    return True


def _pause(letter: DeadLetter) -> timedelta:
    return min(timedelta(seconds=(1 << min(letter.redrives, 20)) - 1), LONGEST_PAUSE)


def skews(alias: str, store: Store | None, /) -> Iterator[Duty]:
    """The duty, where dead letters are kept and wanted back."""
    settings = router.backend_settings(alias)
    if store is not None and settings.deploy_window and settings.dead_ttl:
        yield Skew(alias, store, settings.deploy_window)
