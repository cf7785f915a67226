"""Where the drain stands, read off the ledger as it grows, and when to strike."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge_compare.gauntlet.jobs import Job
    from taskbridge_compare.ledger import Event, Ledger

_LOOK_SECONDS = 0.004
# A crash budget (three by default) forbids to cut the same job again and again.
_MOST_CUTS = 2


class Sight:
    """Follows the jobs of a drain."""

    def __init__(self, ledger: Ledger, jobs: Sequence[Job]) -> None:
        self._ledger = ledger
        self._jobs = {job.key: job for job in jobs}
        self._seen = 0
        self._cuts: Counter[str] = Counter()
        self._open: dict[tuple[str, int, object], Event] = {}
        self.begun: set[str] = set()
        self.done: set[str] = set()
        self.confirmed: dict[str, str] = {}
        """Key -> native id."""
        self.moved = time.monotonic()
        """When a job began or ended last."""

    def look(self) -> list[Event]:
        """Take in what is new, and give it."""
        fresh = self._ledger.since(self._seen)
        self._seen += len(fresh)
        for event in fresh:
            if event.key not in self._jobs:
                continue
            where = (event.key, event.pid, event.extra.get("thread"))
            if event.kind == "start":
                self._open[where] = event
                self.begun.add(event.key)
            elif event.kind in ("end", "raise"):
                self._open.pop(where, None)
                if event.kind == "end":
                    self.done.add(event.key)
            elif event.kind == "enqueued":
                self.confirmed[event.key] = event.extra["id"]
            self.moved = time.monotonic() if event.kind in ("start", "end") else self.moved
        return fresh

    @property
    def missing(self) -> set[str]:
        """Confirmed and not completed."""
        return self.confirmed.keys() - self.done

    def running_in(self, pids: Sequence[int]) -> set[str]:
        """The keys of the jobs that these processes have begun and not ended."""
        self.look()
        return {key for key, pid, _ in self._open if pid in pids}

    def forget_running(self) -> None:
        """The worker is dead, and with it all that ran, seen or not seen yet."""
        self.look()
        self._cuts.update(key for key, _, _ in self._open)
        self._open.clear()

    def wait(self, wanted: Callable[[Event], bool], *, seconds: float) -> Event | None:
        """The first new event that is wanted; None when the seconds have passed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for event in self.look():
                if wanted(event):
                    return event
            self._ledger.pause(_LOOK_SECONDS)
        return None

    def target(self, number: int, *, done: int, seconds: float) -> Event | None:
        """Wait for a moment to strike, once `done` jobs have completed; None if none came.

        Each other strike waits for the start of a long job; those between fall on any start or end, where what was done
        may not have been acknowledged yet. A job that was cut twice is let through.
        """
        begun: float | None = None

        def wanted(event: Event) -> bool:
            nonlocal begun
            job = self._jobs.get(event.key)
            if begun is None and event.kind == "start":  # until then a new worker has to boot, however long it takes
                begun = time.monotonic()
            if job is None or len(self.done) < done or any(self._cuts[key] >= _MOST_CUTS for key, _, _ in self._open):
                return False
            if number % 2 == 0 and (begun is None or time.monotonic() < begun + seconds / 2):
                return event.kind == "start" and job.is_long
            return event.kind in ("start", "end")

        return self.wait(wanted, seconds=seconds)
