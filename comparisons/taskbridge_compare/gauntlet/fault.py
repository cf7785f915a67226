"""A fault: what it does to a drain, and where it makes no sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge_compare.gauntlet.drill import Drill

Way = Literal["worker", "producer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`drive` strikes a drain until enough strikes have counted, and returns when all jobs are enqueued."""

    name: str
    title: str
    drive: Callable[[Drill], None]
    through_proxy: Way | None = None
    """Whose connections to the broker go through a proxy."""
    own_server: bool = False
    """True if the broker itself is struck, so that nobody else may use it."""

    def inapplicable(self, broker: str) -> str:
        """Why this fault cannot happen on a broker of this kind; empty if it can."""
        if broker == "sqlite" and (self.own_server or self.through_proxy is not None):
            return "the broker is a file: it is no process, and no connection leads to it"
        return ""
