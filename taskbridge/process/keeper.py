"""A process that stands between TaskBridge and one program that it started, so that no process of it outlives us.

Run as a file (`python -I -S keeper.py CONTROL STATUS NAME`: two inherited descriptors, and a word for `ps`), with the
standard library alone: it starts in 20 ms and takes 10 MB. It is the *subreaper* of all that the program starts.
Whatever a descendant does (another session as RQ's work horse, a daemon as RabbitMQ's epmd, an overwritten environment
as PostgreSQL, a dead parent), it stays below the keeper in the process tree.

CONTROL, read here: one line of JSON that says what to start, then the lines `kill` (SIGKILL to every process below).
Its end means that our owner is gone, by whatever death, and kills in the same way: the kernel closes a pipe even after
SIGKILL. STATUS, written here: `started PID`, `failed REASON`, `exited CODE` (negative: the signal), and at the end of
the last process below, `gone`. If the keeper itself is killed, PR_SET_PDEATHSIG ends the program.

Subreapers, /proc and PR_SET_PDEATHSIG are Linux's. Elsewhere `ps` tells of processes, and an orphan is known by its
session. Two things are lost: a descendant that opens a session of its own and loses its parent within the same second
(a daemon) outlives us, and so does the program if the keeper itself is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def parents_by_proc() -> dict[int, int]:
    """pid -> parent's pid, of every living process of the machine."""
    parents = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208  pathlib would be half of this file's start time
        if not entry.isdecimal():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:  # noqa: PTH123  as above
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] != b"Z":
            parents[int(entry)] = int(fields[1])
    return parents


def parents_by_ps() -> dict[int, int]:
    """The same by `ps`, which every Unix has. Takes SIGCHLD for itself: collect what has died, afterwards."""
    read, write = os.pipe()
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        child = os.fork()
        if child == 0:
            try:
                os.dup2(write, 1)
                # An option each: a heading, here none, goes to the end of its argument.
                os.execve("/bin/ps", ["ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "stat="], {"LC_ALL": "C"})  # noqa: S606  no shell is the point
            finally:
                os._exit(127)
        os.close(write)
        with open(read, "rb") as output:  # noqa: PTH123  a descriptor
            rows = [line.split() for line in output]
        os.waitpid(child, 0)
    finally:
        signal.signal(signal.SIGCHLD, handler)
    parents = {int(pid): int(parent) for pid, parent, state in rows if not state.startswith(b"Z")}
    parents.pop(child, None)
    if os.getpid() not in parents:
        raise OSError("/bin/ps does not tell which processes there are")
    return parents


def _below(roots: set[int], parents: dict[int, int]) -> set[int]:
    below, known = set[int](), roots
    while known:
        known = {pid for pid, parent in parents.items() if parent in known and pid not in below}
        below |= known
    return below


class ByTree:
    """What is below a subreaper: orphans become its children, so that nothing ends unseen."""

    look_every: float | None = None
    """Seconds."""

    def begins(self, pid: int) -> None:
        """The program leads its session now."""

    def below(self) -> set[int]:
        """Every living process that the program has left or started."""
        return _below({os.getpid()}, parents_by_proc())

    def without_children(self) -> set[int]:
        """The same, once the keeper has no child."""
        return set()


class BySession:
    """What is below a process that is no subreaper, and what is in a session in which one of those was seen.

    It looks once a second: to see sessions before their first process dies, and to forget those that have ended, whose
    number may become somebody else's.
    """

    look_every: float | None = 1.0

    def __init__(self) -> None:
        self._sessions: set[int] = set()

    def begins(self, pid: int) -> None:
        """The program leads its session now."""
        self._sessions.add(pid)

    def below(self) -> set[int]:
        """Every living process that the program has left or started, and that can be told."""
        parents = parents_by_ps()
        session = {pid: led for pid in parents if (led := _session(pid))}
        here = os.getpid()
        found = set[int]()
        while True:
            roots = {here} | found | {pid for pid, led in session.items() if led in self._sessions}
            more = (roots | _below(roots, parents)) - {here}
            self._sessions = {session[pid] for pid in more if pid in session} - {os.getsid(0)}
            if more == found:
                return found
            found = more

    without_children = below


def _session(pid: int) -> int:
    """The process that leads it, whether or not that lives; 0 if that is not told."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _signal_all(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


class _Keeper:
    def __init__(self, control: int, status: int, members: ByTree | BySession) -> None:
        self.members = members
        self.control = control
        self.status = status
        self.pid = 0
        self.buffer = b""

    def tell(self, message: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self.status, message.encode() + b"\n")

    def lines(self) -> list[bytes] | None:
        """The complete lines that have come; None at the end of the pipe. Blocks when nothing lies there."""
        received = os.read(self.control, 65536)
        if not received:
            return None
        *complete, self.buffer = (self.buffer + received).split(b"\n")
        return complete

    def start(self, what: dict[str, object]) -> None:
        failure_read, failure_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _become(what)
            except BaseException as error:  # noqa: BLE001  nothing may run on in the forked copy
                os.write(failure_write, f"{type(error).__name__}: {error}".encode())
            os._exit(127)
        os.close(failure_write)
        failure = os.read(failure_read, 4096).decode()
        os.close(failure_read)
        if failure:
            os.waitpid(self.pid, 0)
            self.tell("failed " + " ".join(failure.split()))
            os._exit(1)
        self.members.begins(self.pid)
        self.tell(f"started {self.pid}")

    def reap(self) -> None:
        """Collect what has died. Does not return when nothing is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                if self.members.without_children():
                    return
                self.tell("gone")
                os._exit(0)
            if pid == 0:
                return
            if pid == self.pid:
                self.tell(f"exited {os.waitstatus_to_exitcode(status)}")

    def kill(self) -> None:
        """SIGKILL to all below, frozen first, so that no master sees its worker die and starts another."""
        while True:
            frozen = set[int]()
            while fresh := self.members.below() - frozen:
                _signal_all(fresh, signal.SIGSTOP)
                frozen |= fresh
            _signal_all(frozen, signal.SIGKILL)
            self.reap()
            time.sleep(0.002)

    def run(self) -> None:
        while not (lines := self.lines()):
            if lines is None:
                return
        self.start(json.loads(lines[0]))
        woken_read, woken_write = os.pipe()
        os.set_blocking(woken_write, False)
        os.set_blocking(woken_read, False)
        signal.set_wakeup_fd(woken_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.reap()
        while True:
            readable, _, _ = select.select([self.control, woken_read], [], [], self.members.look_every)
            if not readable:
                self.members.below()
                self.reap()
            if woken_read in readable:
                os.read(woken_read, 65536)
                self.reap()
            if self.control in readable:
                commands = self.lines()
                if commands is None or b"kill" in commands:
                    self.kill()


def _become(what: dict[str, object]) -> None:
    """In the forked child: turn into the program. Returns only by an exception."""
    argv = what["argv"]
    assert isinstance(argv, list)
    environment = what["environment"]
    assert isinstance(environment, dict)
    os.setsid()
    identity = what["identity"]
    if isinstance(identity, list):
        uid, gid, groups = identity
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
    # After the change of user, which would clear it.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    directory = what["directory"]
    if isinstance(directory, str):
        os.chdir(directory)
    # An ignored signal stays ignored through exec; Python itself ignores the last two.
    for number in (*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(argv[0], argv, environment)  # noqa: S606  no shell is the point


def main() -> None:
    control, status = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(control, False)
    os.set_inheritable(status, False)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _Keeper(control, status, ByTree() if sys.platform == "linux" else BySession()).run()


if __name__ == "__main__":
    main()
