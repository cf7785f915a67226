"""A supervised native process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import threading
import time
import weakref
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import psutil

from taskbridge.errors import ProcessFailed

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import TracebackType

    from taskbridge.process.command import Command
    from taskbridge.process.identity import Identity

_KEEPER = Path(__file__).with_name("keeper.py")
_POLL = 0.01
_SLICE = 0.1
_START = timedelta(seconds=15)
_KILL = timedelta(seconds=15)
_TAIL_LINES = 15


class Process:
    """A program in its own session, below a keeper that ends it and all that it started when we end, however we end.

    Starts at once; with `log` its output is appended to that file, without it the program writes where we write. As a
    context manager it is stopped at the end of the block, and killed if the block raises.
    """

    def __init__(self, command: Command, *, log: Path | None = None, identity: Identity | None = None) -> None:
        """`identity` drops the program to another user. Raises ProcessFailed if the program cannot be started."""
        environment = command.full_environment()
        program = command.argv[0]
        if "/" not in program and shutil.which(program, path=environment.get("PATH")) is None:
            raise ProcessFailed(f"cannot start {command.name}: no program {program!r} on PATH; install it")
        self.command = command
        self.log = log
        self._exit_code: int | None = None
        self._gone = False
        self._buffer = b""
        self._lock = threading.Lock()
        control, self._control = os.pipe()
        self._status, status = os.pipe()
        output: IO[bytes] | None = None
        try:
            output = log.open("ab") if log else None
            self._log_start = output.tell() if output else 0
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), str(control), str(status), command.name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(control, status),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._control)
            os.close(self._status)
            raise
        finally:
            os.close(control)
            os.close(status)
            if output:
                output.close()
        # However this object goes (close, the collector, the end of the interpreter), the keeper sees the pipe's end.
        self._release = weakref.finalize(self, _release, self._control, self._status, self._keeper)
        _ALIVE.add(self)
        what = {
            "argv": command.argv,
            "environment": environment,
            "directory": str(command.directory) if command.directory else None,
            "identity": identity,
        }
        with contextlib.suppress(BrokenPipeError):
            os.write(self._control, json.dumps(what).encode() + b"\n")
        self.pid = self._await_start()
        """The program's own process id."""
        self._process = _process_or_none(self.pid)

    def _await_start(self) -> int:
        deadline = time.monotonic() + _START.total_seconds()
        word, _, rest = self._next_status(deadline).partition(" ")
        if word == "started":
            return int(rest)
        self.close()
        why = rest or "the keeper process ended or did not answer"
        raise ProcessFailed(f"cannot start {self.command.name} ({' '.join(self.command.argv)}): {why}")

    def _next_status(self, deadline: float) -> str:
        """The next line of the keeper, or "" at its end or at the deadline."""
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._status], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return ""
            received = os.read(self._status, 4096)
            if not received:
                self._gone = True
                return ""
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def _update(self) -> None:
        """Read what the keeper has said by now."""
        with self._lock:
            while not self._gone and self._release.alive and (line := self._next_status(0.0)):
                if line == "gone":
                    self._gone = True
                elif line.startswith("exited "):
                    self._exit_code = int(line.partition(" ")[2])

    def _wait_for_news(self, deadline: float) -> None:
        """Sleep until the keeper says something, or a moment has passed; without the lock, which others need."""
        if not self._gone and self._release.alive:
            select.select([self._status], [], [], max(0.0, min(_SLICE, deadline - time.monotonic())))
        self._update()

    def fileno(self) -> int:
        """Readable, for `select`, when something has happened to the process."""
        return self._status

    @property
    def exit_code(self) -> int | None:
        """The program's exit code, negative if a signal ended it; None while it runs."""
        self._update()
        if self._exit_code is None and self._gone:
            self._exit_code = -9
        return self._exit_code

    @property
    def running(self) -> bool:
        """True while the program itself lives, whatever its descendants do."""
        return self.exit_code is None

    def tree(self) -> list[psutil.Process]:
        """Every living process below us: the program, its descendants, and on Linux the orphans of those that died."""
        try:
            below = psutil.Process(self._keeper.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        # In the keeper's own session is, for a moment, the `ps` that it asks.
        return [process for process in below if _session(process) != self._keeper.pid and _lives(process)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program alone; nothing happens if it has ended."""
        if self._process is not None and self.running:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.send_signal(number)

    def wait(self, *, within: timedelta) -> int | None:
        """Wait for the program's end; its exit code, or None if it still runs at the deadline."""
        deadline = time.monotonic() + within.total_seconds()
        while self.running and time.monotonic() < deadline:
            self._wait_for_news(deadline)
        return self.exit_code

    def wait_until(self, ready: Callable[[], bool], *, within: timedelta, what: str = "ready") -> None:
        """Wait until `ready()` is true.

        Raises ProcessFailed, with the end of the log, if the program ends or the time passes before.
        """
        deadline = time.monotonic() + within.total_seconds()
        while not ready():
            if not self.running:
                raise ProcessFailed(
                    f"{self.command.name} ended with exit code {self.exit_code} before it was {what}{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"{self.command.name} was not {what} within {within.total_seconds():g} s{self.log_tail()}"
                )
            time.sleep(_POLL)

    def wait_for_line(self, pattern: str, *, within: timedelta) -> re.Match[str]:
        """Wait until a line that this process wrote to its log matches `pattern` (re.search); the match."""
        found: list[re.Match[str]] = []

        def matches() -> bool:
            if match := re.search(pattern, self.output(), re.MULTILINE):
                found.append(match)
            return bool(found)

        self.wait_until(matches, within=within, what=f"known to have logged {pattern!r}")
        return found[0]

    def output(self) -> str:
        """What this process has written to its log so far."""
        if self.log is None:
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self) -> str:
        """The end of the output, laid out for the end of an error message; empty if there is none."""
        lines = self.output().splitlines()[-_TAIL_LINES:]
        return "".join(["; the end of its log:", *(f"\n  | {line}" for line in lines)]) if lines else ""

    def stop(self, *, grace: timedelta = timedelta(seconds=10)) -> int | None:
        """Ask the program to leave, wait, then kill what is left of the tree. The program's exit code."""
        self.send(self.command.stop_signal)
        self.wait(within=grace)
        self.kill_tree()
        return self.exit_code

    def kill_tree(self) -> None:
        """SIGKILL for every process of the tree at once: all are frozen before the first dies."""
        if self._release.alive and not self._gone:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._control, b"kill\n")
            deadline = time.monotonic() + _KILL.total_seconds()
            while not self._gone:
                self._wait_for_news(deadline)
                if time.monotonic() > deadline:
                    raise ProcessFailed(f"{self.command.name} (pid {self.pid}) survived SIGKILL for {_KILL}")
        _ = self.exit_code
        self.close()

    def close(self) -> None:
        """Let the keeper go, and with it whatever still runs."""
        _ALIVE.discard(self)
        self._release()

    def _let_go(self) -> None:
        if self._release.detach():
            os.close(self._control)
            os.close(self._status)
            self._keeper.returncode = 0  # it is our parent's child; else its collection would warn
            self._gone = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self.kill_tree()


def _process_or_none(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _release(control: int, status: int, keeper: subprocess.Popen[bytes]) -> None:
    os.close(control)
    with contextlib.suppress(subprocess.TimeoutExpired):
        keeper.wait(_KILL.total_seconds())
    os.close(status)


_ALIVE: weakref.WeakSet[Process] = weakref.WeakSet()


def _forget_in_fork() -> None:
    """A forked copy of us must not hold the pipes, else the keepers would wait for the copy's end."""
    for process in list(_ALIVE):
        process._let_go()  # noqa: SLF001  our own class
    _ALIVE.clear()


os.register_at_fork(after_in_child=_forget_in_fork)
