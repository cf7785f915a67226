"""What a row of TaskBridge's profile has in common with the native row beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from taskbridge_compare.drivers.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge_compare.drivers.driver import Broker, Profile

N = TypeVar("N", bound=Driver)


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideNative(Generic[N]):
    """The same backend and broker as `native`."""

    native: N
    engine: str
    profile: Profile = "taskbridge"
    no_time_limit: str = ""

    @property
    def backend(self) -> str:
        return self.native.backend

    @property
    def broker(self) -> Broker:
        return self.native.broker

    @property
    def bounds(self) -> Mapping[str, str]:
        """Dead letters lie still; whatever else a dead worker held, the others of its queue put back."""
        letter = "a dead letter: `taskbridge dead redrive` runs it again"
        return {
            "taskbridge.dead": "kept on the broker until somebody takes it: no store is named",
            **dict.fromkeys((".XQ", "dead", "rq:failed", "FAILED"), letter),
            "": "run again within 10 s of its worker's death, as docs/matrix.md says under at_least_once",
        }

    @property
    def distributions(self) -> tuple[str, ...]:
        return ("taskbridge", *self.native.distributions)

    @property
    def durability(self) -> str:
        return self.native.durability
