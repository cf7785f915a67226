"""One measured number, as the result keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """What was measured, of which backend and profile; `samples` are kept beside it, by reference."""

    backend: str
    profile: str
    case: str
    title: str
    value: float | None
    unit: str
    text: str
    samples: Any
    detail: str = ""
    noisy: bool = False

    @property
    def reference(self) -> str:
        """Where the samples lie in the result."""
        return f"{self.backend}/{self.profile}/{self.case}"

    def plain(self) -> dict[str, Any]:
        return {
            "backend": self.backend,
            "profile": self.profile,
            "case": self.case,
            "title": self.title,
            "value": self.value,
            "unit": self.unit,
            "text": self.text,
            "detail": self.detail,
            "noisy": self.noisy,
            "samples": self.reference,
        }


def unmeasured(backend: str, profile: str, case: str, title: str, why: str, *, text: str = "") -> Number:
    """A number that cannot be had here, and why: never an empty cell."""
    return Number(
        backend=backend,
        profile=profile,
        case=case,
        title=title,
        value=None,
        unit="",
        text=text or why,
        samples=[],
        detail=why,
    )
