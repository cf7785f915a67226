"""The duty after a deploy: what older code could not run is run by the code that can."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
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
AT_ONCE: Final = 100
"""Jobs that one beat runs again."""


class Skew:
    """Redrives the dead letters of unknown tasks and of arguments that did not fit, where this code knows better.

    Each version of the code has a duty of its own: one that does not know a task must not keep one from it that does.
    """

    def __init__(self, alias: str, store: Store, window: timedelta) -> None:
        self.name = f"skew:{alias}:{code_fingerprint(registry)}"
        self._alias = alias
        self._store = store
        self._window = window
        self._since: datetime | None = None

    def beat(self) -> timedelta:
        """Look at the letters that are new since the last beat, and at those that were left for later."""
        now = datetime.now(UTC)
        oldest = now - self._window
        since = oldest if self._since is None else max(oldest, self._since)
        self._since = now - OVERLAP
        tasks = registry.by_wire_name(router.backend(self._alias))
        done = 0
        for letter in self._letters(since):
            if done == AT_ONCE or letter.buried_at + _pause(letter) > now:
                self._since = min(self._since, letter.buried_at)
            elif _fits(letter, tasks):
                done += self._redrive(letter)
        return timedelta(0) if done == AT_ONCE else REST

    def _letters(self, since: datetime) -> Iterator[DeadLetter]:
        for reason in REASONS:
            yield from self._store.letters(Selection(backend=self._alias, reason=reason, since=since))

    def _redrive(self, letter: DeadLetter) -> bool:
        try:
            redrive(letter.id, self._store)
        except RedriveRefused as error:
            logger.warning("The job %s could run now, and is not enqueued again: %s", letter.id, error)
            return False
        logger.info("The job %s (%s) is enqueued again, since its task is known here.", letter.id, letter.reason)
        return True


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
