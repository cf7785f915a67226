"""How long a worker may be silent before others take what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LEASE: Final = timedelta(seconds=8)
LONGEST: Final = timedelta(days=1)
KOMBU_VISIBILITY: Final = 3600
"""Kombu's default `visibility_timeout`, in seconds: what stock workers hold is theirs for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """All in seconds."""

    length: float = LEASE.total_seconds()
    """What a worker of ours holds and has not renewed for so long is given out again."""
    longest: float = LONGEST.total_seconds()
    """Never renewed beyond this age: a worker whose main loop hangs cannot keep a job for ever."""
    foreign: float = KOMBU_VISIBILITY
    """The same for what a stock worker holds, which renews nothing."""

    @property
    def renewal(self) -> float:
        """How often what is held is renewed: three renewals may fail."""
        return self.length / 4

    @property
    def sweep(self) -> float:
        """How often one of the workers looks for what was not renewed."""
        return min(1.0, self.length / 4)

    @classmethod
    def of(cls, transport_options: Mapping[str, Any], /) -> Lease:
        """What `broker_transport_options` say: `taskbridge_lease`, `taskbridge_longest_lease`, `visibility_timeout`."""
        return cls(
            length=float(transport_options.get("taskbridge_lease", _DEFAULTS.length)),
            longest=float(transport_options.get("taskbridge_longest_lease", _DEFAULTS.longest)),
            foreign=float(transport_options.get("visibility_timeout", _DEFAULTS.foreign)),
        )


_DEFAULTS: Final = Lease()
