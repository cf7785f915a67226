"""What a task with `takes_context=True` is given as its first argument."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta


class RetryRequested(BaseException):
    """Ends an attempt at the task's own wish. Not an `Exception`, so that the task does not catch it by accident."""

    def __init__(self, after: timedelta | None) -> None:
        super().__init__("the task asked for another attempt")
        self.after = after


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One attempt, seen from inside."""

    id: str
    task: str
    """The task's name."""
    queue_name: str
    attempt: int
    """Counts from 1."""
    deadline: datetime | None
    """Aware; when `DeadlineExceeded` will be raised."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What `using(metadata=...)` sent along."""

    def retry(self, *, after: timedelta | None = None) -> NoReturn:
        """End this attempt and ask for another, `after` this time (None: as the task's `retry` says).

        It counts as an attempt: the task's `retry` bounds their number, and a task without one may not call this.
        """
        raise RetryRequested(after)
