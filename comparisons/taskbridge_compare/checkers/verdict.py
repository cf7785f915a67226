"""Verdicts, and what every checker asks of a history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge_compare.ledger import Event

Outcome = Literal[
    "ok",  # what the question hopes for, at once
    "rerun",  # executed again after the fault, and completed once
    "failed",  # not executed again, and visible as failed where the engine's users look
    "stuck",  # still stored, but nothing moved it in the time that was watched
    "lost",  # no completed execution, and nowhere in the broker
    "duplicated",  # completed more than once
    "approximate",  # executed near what was asked, by the engine's own jitter or rounding
    "wrong",  # executed, but not as asked
    "refused",  # the engine refuses the option, in words
    "none",  # the engine has no such thing
    "inapplicable",  # the question makes no sense here; the text says why
    "unknown",  # the run cannot answer
]
GOOD: frozenset[Outcome] = frozenset({"ok", "rerun"})
BAD: frozenset[Outcome] = frozenset({"lost", "duplicated", "stuck", "wrong"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a history says: an outcome, a few words for a cell, a sentence for who looks closer, and any seconds."""

    outcome: Outcome
    text: str
    detail: str = ""
    seconds: float | None = None

    def plain(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "text": self.text, "detail": self.detail, "seconds": self.seconds}


def events_of(history: Sequence[Event], key: str, kind: str) -> list[Event]:
    """What happened of this kind to the job of this key."""
    return [event for event in history if event.key == key and event.kind == kind]


def refused(history: Sequence[Event], key: str) -> Verdict | None:
    """A verdict if the engine refused the enqueue of this job."""
    for event in events_of(history, key, "refused"):
        words = f"{event.extra['error']}: {event.extra['message']}"
        return Verdict(outcome="refused", text="refused", detail=words)
    return None


def sentinel_ran(history: Sequence[Event], asked: Mapping[str, Any]) -> bool:
    """Whether a job ran that was enqueued after all others."""
    return bool(events_of(history, asked["sentinel"], "end"))
