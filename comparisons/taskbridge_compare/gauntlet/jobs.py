"""The jobs of one drain: mostly a few milliseconds, some much longer, the same on every run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT_SECONDS = 0.05
LONG_SECONDS = (0.3, 0.9)
LONG_ONE_IN = 25


@dataclass(frozen=True, slots=True)
class Job:
    """One job: `hold` seconds of work under a key that stands nowhere else."""

    key: str
    hold: float

    @property
    def is_long(self) -> bool:
        """True for the one in 25 that a fault can hit in the middle."""
        return self.hold >= LONG_SECONDS[0]

    def request(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the probe in the worker is given."""
        return {"key": self.key, "arguments": dict(arguments), "hold": self.hold}


def mixed(count: int, token: str) -> list[Job]:
    """`count` jobs, their keys made of `token` and a number; one in 25 is long, the others take 0 to 50 ms."""
    numbers = random.Random(count)  # noqa: S311  a workload, the same each time
    jobs = []
    for number in range(count):
        long = number % LONG_ONE_IN == LONG_ONE_IN // 2
        hold = numbers.uniform(*LONG_SECONDS) if long else numbers.uniform(0, SHORT_SECONDS)
        jobs.append(Job(f"{token}-{number:05d}", round(hold, 3)))
    return jobs
