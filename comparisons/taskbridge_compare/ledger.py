"""The ledger: an append-only file of events that workers, producers and faults write, and checkers read."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskbridge_compare.probe import append

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

POLL_SECONDS = 0.03


class NotSeen(Exception):
    """The event did not appear in the ledger before its deadline."""


class Interrupted(Exception):
    """The comparison was stopped (Ctrl-C) while an experiment waited."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a ledger. `at` is seconds on the monotonic clock of this boot; `wall` is for people."""

    kind: str
    key: str
    at: float
    wall: float
    pid: int
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: str | bytes) -> Event:
        data = json.loads(line)
        known = {"v", "event", "key", "monotonic_ns", "wall", "pid"}
        return cls(
            kind=data["event"],
            key=data["key"],
            at=data["monotonic_ns"] / 1e9,
            wall=data["wall"],
            pid=data["pid"],
            extra={name: value for name, value in data.items() if name not in known},
        )

    def plain(self) -> dict[str, Any]:
        """The event as JSON values; `Event.restore` is the way back."""
        return {"kind": self.kind, "key": self.key, "at": self.at, "wall": self.wall, "pid": self.pid, **self.extra}

    @classmethod
    def restore(cls, plain: Mapping[str, Any]) -> Event:
        known = ("kind", "key", "at", "wall", "pid")
        extra = {name: value for name, value in plain.items() if name not in known}
        return cls(**{name: plain[name] for name in known}, extra=extra)


class Ledger:
    """A ledger file, written by many processes and read here from its beginning."""

    def __init__(self, path: Path, stopping: threading.Event | None = None) -> None:
        self.path = path
        self._stopping = stopping or threading.Event()
        self._offset = 0
        self._events: list[Event] = []
        self._lock = threading.Lock()
        path.touch(mode=0o600)

    def write(self, kind: str, key: str, **extra: object) -> None:
        """Append an event of the harness itself: an enqueue, a fault, a residual."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            append(file, kind, key, extra)
        finally:
            os.close(file)

    def events(self) -> list[Event]:
        """All events so far, in the order of the monotonic clock."""
        return sorted(self._read(), key=lambda event: event.at)

    def since(self, seen: int) -> list[Event]:
        """The events after the first `seen`, in the order of arrival."""
        return self._read()[seen:]

    def _read(self) -> list[Event]:
        with self._lock:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
            whole = chunk.rfind(b"\n") + 1
            self._offset += whole
            self._events += [Event.parse(line) for line in chunk[:whole].splitlines()]
            return list(self._events)

    def wait_for(self, wanted: Callable[[Event], bool], seconds: float, *, what: str) -> Event:
        """The first event that is `wanted`; raises NotSeen, naming `what`, when `seconds` have passed."""
        for event in self.follow(seconds):
            if wanted(event):
                return event
        raise NotSeen(f"{what}: not seen within {seconds:g} s")

    def follow(self, seconds: float) -> Iterator[Event]:
        """Every event, old and new, in the order of arrival, until the deadline."""
        seen = 0
        until = time.monotonic() + seconds
        while True:
            last_look = time.monotonic() >= until
            events = self._read()
            yield from events[seen:]
            seen = len(events)
            if last_look:
                return
            self.pause(POLL_SECONDS)

    def pause(self, seconds: float) -> None:
        """Sleep, but end at once with Interrupted when the comparison is stopped."""
        if self._stopping.wait(seconds):
            raise Interrupted
