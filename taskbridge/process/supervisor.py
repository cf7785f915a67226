"""Several programs, kept running until we are asked to stop."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from taskbridge.errors import ProcessFailed
from taskbridge.process.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from taskbridge.process.command import Command


class Ending(IntEnum):
    """What `supervise` returns, fit for an exit code. (2 is the command line's own, for a usage error.)"""

    STOPPED = 0
    """Asked to stop, and every program left by itself."""
    GAVE_UP = 1
    """A program could not be kept running; the others were stopped."""
    KILLED = 3
    """Asked to stop, and something had to be killed: after the grace, or at a second signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one program."""

    kind: Literal["started", "ended", "restarting", "gave up", "stopping", "killing"]
    command: Command
    pid: int | None = None
    exit_code: int | None = None
    """Of an ended program; negative if a signal ended it; None if it could not be started at all."""
    delay: timedelta | None = None
    """Before a restart."""
    reason: str = ""
    """Why a program could not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """When what dies starts again. The delay doubles with each early death in a row."""

    first_delay: timedelta = timedelta(seconds=0.5)
    longest_delay: timedelta = timedelta(seconds=30)
    early: timedelta = timedelta(seconds=10)
    """A program that ran longer than this counts as healthy: it starts again at once, and its count begins anew."""
    give_up_after: int = 6
    """This many early deaths in a row."""

    def delay(self, early_deaths: int) -> timedelta:
        """Before the next start, after so many early deaths in a row."""
        if early_deaths == 0:
            return timedelta(0)
        return min(self.longest_delay, self.first_delay * (1 << (early_deaths - 1)))


class _Seat:
    """One command, and the process that runs it now, if one does."""

    def __init__(self, command: Command, log: Path | None, tell: Callable[[Event], None]) -> None:
        self.command = command
        self.log = log
        self.tell = tell
        self.process: Process | None = None
        self.started = 0.0
        self.early_deaths = 0
        self.next_start = 0.0

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = Process(self.command, log=self.log)
        self.tell(Event(kind="started", command=self.command, pid=self.process.pid))

    def clear(self) -> None:
        """After the program's end: its orphans go too, since a new set of workers takes their place."""
        assert self.process is not None
        process, self.process = self.process, None
        process.kill_tree()
        self.tell(Event(kind="ended", command=self.command, pid=process.pid, exit_code=process.exit_code))

    def plan_restart(self, restarts: Restarts) -> bool:
        """Fix the next start; False if the program has died too often."""
        now = time.monotonic()
        early = now - self.started < restarts.early.total_seconds()
        self.early_deaths = self.early_deaths + 1 if early else 0
        if self.early_deaths >= restarts.give_up_after:
            self.tell(Event(kind="gave up", command=self.command))
            return False
        delay = restarts.delay(self.early_deaths)
        self.next_start = now + delay.total_seconds()
        self.tell(Event(kind="restarting", command=self.command, delay=delay))
        return True


class _StopRequests:
    """Counts SIGTERM and SIGINT; readable, for `select`, when one came."""

    def __init__(self, woken: int) -> None:
        self.woken = woken
        self.count = 0

    def note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1

    def sleep(self, processes: Sequence[Process], seconds: float | None) -> None:
        """Until something happens, or the seconds have passed."""
        watched: list[int | Process] = [self.woken, *processes]
        readable, _, _ = select.select(watched, [], [], seconds)
        if self.woken in readable:
            os.read(self.woken, 4096)


@contextmanager
def _stop_requests() -> Iterator[_StopRequests]:
    read, write = os.pipe()
    os.set_blocking(write, False)
    requests = _StopRequests(read)
    before = {number: signal.signal(number, requests.note) for number in (signal.SIGTERM, signal.SIGINT)}
    wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield requests
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


def supervise(
    commands: Sequence[Command],
    *,
    grace: timedelta,
    on_event: Callable[[Event], None] = lambda _event: None,
    log: Path | None = None,
    restarts: Restarts = Restarts(),
) -> Ending:
    """Run the commands until SIGTERM or SIGINT; start again what dies.

    At the first signal each program gets its own stop signal and `grace` to finish its work, then its tree is killed;
    a second signal kills at once. Without `log` the programs write where we write. Main thread only, for the signals.
    Raises ProcessFailed if a program cannot be started at the beginning.
    """
    seats = [_Seat(command, log, on_event) for command in commands]
    with _stop_requests() as requests:
        try:
            for seat in seats:
                seat.start()
            kept = _keep_running(seats, requests, restarts)
            killed = _stop(seats, requests, grace)
        finally:
            for seat in seats:
                if seat.process is not None:
                    seat.process.kill_tree()
    if not kept:
        return Ending.GAVE_UP
    return Ending.KILLED if killed else Ending.STOPPED


def _keep_running(seats: Sequence[_Seat], requests: _StopRequests, restarts: Restarts) -> bool:
    """Until we are asked to stop; False if a program died too often."""
    while not requests.count:
        for seat in seats:
            if seat.process is not None and not seat.process.running:
                seat.clear()
                if not seat.plan_restart(restarts):
                    return False
            if seat.process is None and time.monotonic() >= seat.next_start:
                try:
                    seat.start()
                except ProcessFailed as failure:
                    seat.tell(Event(kind="ended", command=seat.command, reason=str(failure)))
                    if not seat.plan_restart(restarts):
                        return False
        waiting = [seat.next_start - time.monotonic() for seat in seats if seat.process is None]
        alive = [seat.process for seat in seats if seat.process is not None]
        if not requests.count:
            requests.sleep(alive, max(0.0, min(waiting)) if waiting else None)
    return True


def _stop(seats: Sequence[_Seat], requests: _StopRequests, grace: timedelta) -> bool:
    """Warm stop of all at once; True if something had to be killed. A second signal ends the grace."""
    for seat in seats:
        if seat.process is not None:
            seat.tell(Event(kind="stopping", command=seat.command, pid=seat.process.pid))
            seat.process.send(seat.command.stop_signal)
    deadline = time.monotonic() + grace.total_seconds()
    while True:
        for seat in seats:
            if seat.process is not None and not seat.process.running:
                seat.clear()
        alive = [seat for seat in seats if seat.process is not None]
        left = deadline - time.monotonic()
        if not alive or left <= 0 or requests.count > 1:
            break
        requests.sleep([seat.process for seat in alive if seat.process is not None], left)
    for seat in alive:
        assert seat.process is not None
        seat.tell(Event(kind="killing", command=seat.command, pid=seat.process.pid))
        seat.process.kill_tree()
        seat.clear()
    return bool(alive)
