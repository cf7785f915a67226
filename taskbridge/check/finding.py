"""One thing that a check has found."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Severity = Literal["error", "warning", "note"]
"""error: jobs are refused or lost as it is. warning: they are lost, doubled or late under a fault."""


class Finding(Struct, frozen=True, kw_only=True):
    """What is so, what follows from it, and what to do."""

    severity: Severity
    about: str
    """A server, a setting, a task: in the words of the one who can change it."""
    what: str
    consequence: str
    remedy: str


def error(about: str, what: str, /, *, consequence: str, remedy: str) -> Finding:
    """Jobs are refused or lost as it is."""
    return Finding(severity="error", about=about, what=what, consequence=consequence, remedy=remedy)


def warning(about: str, what: str, /, *, consequence: str, remedy: str) -> Finding:
    """Jobs are lost, doubled or late under a fault."""
    return Finding(severity="warning", about=about, what=what, consequence=consequence, remedy=remedy)


def note(about: str, what: str, /, *, consequence: str, remedy: str) -> Finding:
    """Worth knowing."""
    return Finding(severity="note", about=about, what=what, consequence=consequence, remedy=remedy)


def unreachable(about: str, problem: object, /) -> Finding:
    """A server that does not answer."""
    return error(
        about,
        f"it cannot be reached: {problem}",
        consequence="Enqueuing raises BrokerUnavailable, and workers wait.",
        remedy="Start it, or correct the URL; behind a firewall, open its port.",
    )
