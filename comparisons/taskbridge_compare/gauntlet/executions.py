"""From events to executions: which start belongs to which end, and what cut what never ended. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskbridge_compare.ledger import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of a job's function, from its first line on."""

    key: str
    pid: int
    parent: int
    slot: tuple[int, object]
    """Where jobs run one after the other: process and thread, or the parent of processes that run one job each."""
    begin: float
    finished: float | None
    """When its last line was reached; None if it never was."""
    raised: float | None
    """When an exception left it, for instance one that an engine raises to end it."""

    @property
    def until(self) -> float | None:
        """When it was over by itself."""
        return self.finished if self.finished is not None else self.raised


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A worker's end that the harness brought about: `begin` is the signal, `at` when no process was left."""

    number: int
    begin: float
    at: float
    pids: frozenset[int] | None
    """The processes of the killed tree, frozen before they were counted; None: all that ran then."""
    killed: bool
    """By SIGKILL; else it was asked to stop and left by itself."""
    last_breath: float = 0.0
    """When the tree was surely dead, if later than `at`: a process that was being forked may still begin a job."""

    def cut(self, execution: Execution) -> bool:
        """True if this death is why the execution has no end."""
        if execution.begin > max(self.at, self.last_breath) or execution.finished is not None:
            return False
        if execution.raised is not None:  # an engine ends a task with an exception when it is asked to stop
            return self.begin <= execution.raised <= self.at
        return self.pids is None or bool({execution.pid, execution.parent} & self.pids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A time without a way between worker and broker; both are the same moment if only connections were reset."""

    begin: float
    healed: float
    key: str = ""
    """The job whose message was on its way to a worker; empty if the broker itself was gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A worker that stood still for longer than its leases, and then went on as if nothing had been."""

    begin: float
    end: float
    pids: frozenset[int]

    def holds(self, execution: Execution) -> bool:
        """True if the execution is one of the paused worker's."""
        return bool({execution.pid, execution.parent} & self.pids)

    def made_zombie(self, execution: Execution, others: Sequence[Execution]) -> bool:
        """True if the execution slept through the pause, and its job began elsewhere before it was over."""
        if not self.holds(execution) or execution.begin >= self.begin:
            return False
        over = execution.until if execution.until is not None else math.inf
        return over >= self.end and any(self.begin < other.begin < over for other in others)


def executions(history: Iterable[Event]) -> dict[str, list[Execution]]:
    """Every execution of every job, in the order of their beginnings."""
    open_: dict[tuple[str, int, object], list[Event]] = defaultdict(list)
    found: dict[str, list[Execution]] = defaultdict(list)
    events = list(history)
    pids = [event.pid for event in events if event.kind == "start"]
    forks = len(set(pids)) == len(pids)
    for event in events:
        where = (event.key, event.pid, event.extra.get("thread"))
        if event.kind == "start":
            open_[where].append(event)
        elif event.kind in ("end", "raise") and open_[where]:
            found[event.key].append(_execution(open_[where].pop(), event, forks=forks))
    for starts in open_.values():
        for start in starts:
            found[start.key].append(_execution(start, None, forks=forks))
    return {key: sorted(runs, key=lambda run: run.begin) for key, runs in found.items()}


def _execution(start: Event, over: Event | None, *, forks: bool) -> Execution:
    parent = start.extra.get("parent", 0)
    return Execution(
        key=start.key,
        pid=start.pid,
        parent=parent,
        slot=(parent, None) if forks else (start.pid, start.extra.get("thread")),
        begin=start.at,
        finished=over.at if over is not None and over.kind == "end" else None,
        raised=over.at if over is not None and over.kind == "raise" else None,
    )


def deaths(history: Iterable[Event]) -> list[Death]:
    """Every kill and every stop of a worker."""
    found: list[Death] = []
    signals: dict[int, Event] = {}
    for event in history:
        if event.kind == "fault" and event.extra["fault"] == "SIGKILL":
            pids = frozenset(event.extra["pids"])
            found.append(Death(number=event.extra["number"], begin=event.at, at=event.at, pids=pids, killed=True))
        elif event.kind == "struck" and found and found[-1].number == event.extra.get("number"):
            found[-1] = replace(found[-1], last_breath=event.at)
        elif event.kind == "fault" and event.extra["fault"] == "SIGTERM":
            signals[event.extra["number"]] = event
        elif event.kind == "gone":
            begin = signals[event.extra["number"]].at
            killed = event.extra["exit_code"] is None
            found.append(Death(number=event.extra["number"], begin=begin, at=event.at, pids=None, killed=killed))
    return found


def breaks(history: Iterable[Event]) -> list[Break]:
    """Every kill of a broker, until it answered again, and every cut of a worker's connection."""
    found: list[Break] = []
    killed: dict[int, float] = {}
    for event in history:
        if event.kind == "fault" and event.extra["fault"] == "broker SIGKILL":
            killed[event.extra["number"]] = event.at
        elif event.kind == "healed":
            found.append(Break(begin=killed[event.extra["number"]], healed=event.at))
        elif event.kind == "cut" and event.extra["way"] == "delivery":
            found.append(Break(begin=event.at, healed=event.at, key=event.key))
    return found


def pauses(history: Iterable[Event]) -> list[Pause]:
    """Every pause of a worker."""
    found: list[Pause] = []
    stopped: dict[int, Event] = {}
    for event in history:
        if event.kind == "fault" and event.extra["fault"] == "pause":
            stopped[event.extra["number"]] = event
        elif event.kind == "resumed":
            begun = stopped[event.extra["number"]]
            found.append(Pause(begin=begun.at, end=event.at, pids=frozenset(begun.extra["pids"])))
    return found


def cut_enqueues(history: Iterable[Event]) -> set[str]:
    """The keys of jobs whose enqueue was cut from the broker."""
    return {event.key for event in history if event.kind == "cut" and event.extra["way"] == "enqueue"}


def hits(history: Iterable[Event]) -> frozenset[int]:
    """The numbers of the strikes that hit something: an execution in its middle, or a message on its way."""
    events = list(history)
    ends = deaths(events)
    spans = []
    for run in (run for runs in executions(events).values() for run in runs):
        cut = [death.at for death in ends if death.cut(run)]
        spans.append((run.begin, run.until if run.until is not None else min(cut, default=math.inf)))
    hit = {event.extra["number"] for event in events if event.kind == "cut"}
    for event in events:
        if event.kind == "fault" and any(begin < event.at <= over for begin, over in spans):
            hit.add(event.extra["number"])
    return frozenset(hit)
