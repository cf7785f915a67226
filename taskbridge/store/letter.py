"""A dead letter: a job, or bytes that were to be one, which nobody will run again unless it is redriven."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

from taskbridge.message import Message
from taskbridge.store.record import TaskError

DEFAULT_DEAD_TTL: Final = timedelta(days=30)
"""How long a dead letter is kept."""


class Burial(Struct, frozen=True, kw_only=True, tag="buried", tag_field="what"):
    """The job has died."""

    at: datetime
    reason: str
    attempts: int
    crashes: int
    error: str
    """The class and the beginning of the message."""


class Redrive(Struct, frozen=True, kw_only=True, tag="redriven", tag_field="what"):
    """The job has been enqueued again by command."""

    at: datetime
    number: int
    """1 for the first time."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """What is kept of a job that has died, with all that is needed to enqueue it again."""

    id: str
    """The job's id; for bytes that could not become a job, `raw-` and a digest of them."""
    task: str
    """Empty where nobody could tell."""
    queue_name: str
    backend: str
    """The alias of the backend whose worker gave it up, to which a redrive enqueues it."""
    reason: str
    buried_at: datetime
    error: TaskError
    attempts: int = 1
    crashes: int = 0
    """Executions that ended with the death of their worker."""
    message: Message | None = None
    """None for bytes that could not become a job."""
    payload: bytes | None = None
    """Those bytes, as they lay on the broker."""
    life: int = 0
    """How often the job had been redriven when it died."""
    redrives: int = 0
    """How often it has been redriven."""
    history: tuple[Burial | Redrive, ...] = ()
    """Oldest first."""
    expires_at: datetime
    """When this letter is forgotten."""

    @property
    def is_redriven(self) -> bool:
        """True if it has been enqueued again and has not died since."""
        return self.redrives > self.life


class Selection(Struct, frozen=True, kw_only=True):
    """Which dead letters are meant: all that fit everything said here."""

    ids: tuple[str, ...] = ()
    task: str | None = None
    queue_name: str | None = None
    backend: str | None = None
    reason: str | None = None
    since: datetime | None = None
    """Aware; buried then or later."""
    before: datetime | None = None
    """Aware; buried earlier."""
    state: Literal["dead", "redriven"] | None = "dead"
    """None: both."""

    def fits(self, letter: DeadLetter, /) -> bool:
        """Whether the letter is meant."""
        return (
            (not self.ids or letter.id in self.ids)
            and self.task in (None, letter.task)
            and self.queue_name in (None, letter.queue_name)
            and self.backend in (None, letter.backend)
            and self.reason in (None, letter.reason)
            and (self.since is None or letter.buried_at >= self.since)
            and (self.before is None or letter.buried_at < self.before)
            and (self.state is None or letter.is_redriven is (self.state == "redriven"))
        )
