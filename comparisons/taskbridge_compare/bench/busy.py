"""How fast something was, and how fast it would have been without whoever else used the machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge_compare.bench.row import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What so many jobs took."""

    jobs: int
    seconds: float
    own: float
    """Seconds of processor time of this process."""
    server: float
    """The same of the Redis server."""

    @property
    def rate(self) -> float:
        """Jobs a second, by the clock."""
        return self.jobs / self.seconds

    @property
    def unhindered(self) -> float:
        """Jobs a second, were the processor always ours or the server's, who take turns."""
        return self.jobs / (self.own + self.server)

    def told(self) -> str:
        """What a job costs."""
        own, server = (part / self.jobs * 1e6 for part in (self.own, self.server))
        return f"{own:.0f} us of processor a job and {server:.0f} us of the server's: {self.unhindered:,.0f} a second"


def timed(jobs: int, url: str, work: Callable[[], object]) -> Timed:
    """Do the work once, on the Redis server of this URL."""
    from redis import Redis

    with Redis.from_url(url) as redis:
        served, own, begin = _served(redis), time.process_time(), time.perf_counter()
        work()
        seconds, own = time.perf_counter() - begin, time.process_time() - own
        return Timed(jobs=jobs, seconds=seconds, own=own, server=_served(redis) - served)


def cheapest(rounds: Sequence[Timed], /) -> Timed:
    """The one that took the least of the processor."""
    return min(rounds, key=lambda each: each.own + each.server)


def verdict(rounds: Sequence[Timed], target: int, /) -> Verdict:
    """`noisy` where only a busy machine can have kept it below the target."""
    if max(each.rate for each in rounds) >= target:
        return "pass"
    return "noisy" if cheapest(rounds).unhindered >= target else "FAIL"


def _served(redis: Any) -> float:
    used = redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
