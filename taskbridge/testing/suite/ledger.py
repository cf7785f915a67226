"""What the suite's tasks did: one line of JSON an event, each written with one system call."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "TASKBRIDGE_TEST_LEDGER"
"""The ledger's path, from the suite to the workers that it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a task did."""

    kind: str
    key: str
    """Which of the suite's jobs."""
    at: float
    """Seconds of the system clock."""
    pid: int
    data: dict[str, Any]


def write(kind: str, key: str, /, **data: Any) -> None:
    """Add an event. It survives the death of this process."""
    path = os.environ.get(VARIABLE)
    if path is None:
        raise RuntimeError(f"{VARIABLE} is not set: the suite's tasks run under the suite's workers only.")
    line = json.dumps({"kind": kind, "key": key, "at": time.time(), "pid": os.getpid(), "data": data})
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


class Reader:
    """Follows a ledger as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._offset = 0
        self._events: dict[str, list[Event]] = {}

    def events(self, key: str, kind: str | None = None) -> list[Event]:
        """The events of one job so far, in order of writing."""
        with self._lock:
            self._read()
            return [event for event in self._events.get(key, ()) if kind in (None, event.kind)]

    def _read(self) -> None:
        try:
            if self.path.stat().st_size == self._offset:
                return
        except FileNotFoundError:
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        complete = text.rpartition(b"\n")[0]
        if complete:
            self._offset += len(complete) + 1
            for line in complete.split(b"\n"):
                event = Event(**json.loads(line))
                self._events.setdefault(event.key, []).append(event)
