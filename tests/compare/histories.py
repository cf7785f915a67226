"""Hand-made histories for the checkers."""

from __future__ import annotations

from typing import Any

from taskbridge_compare.ledger import Event

VICTIM = "victim"
SENTINEL = "sentinel"
CRASH: dict[str, Any] = {
    "victim": VICTIM,
    "sentinel": SENTINEL,
    "window": 20.0,
    "bounds": {"unacked": "visibility_timeout, 3600 s", "rq:failed": "kept a year"},
}


def event(kind: str, at: float, key: str = VICTIM, *, pid: int = 1, **extra: Any) -> Event:
    return Event(kind=kind, key=key, at=at, wall=at, pid=pid, extra=extra)


def sentinel(at: float) -> Event:
    return event("end", at, SENTINEL)


def residual(at: float, *places: tuple[str, str]) -> Event:
    return event("residual", at, places=[{"name": name, "state": state} for name, state in places])


def killed(*after: Event) -> list[Event]:
    """A victim that is struck at 2.0, a second after its start, and whatever comes then."""
    return [event("enqueued", 0.5), event("start", 1.0), event("fault", 2.0), *after]
