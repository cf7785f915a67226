"""What the declared tasks ask for, held against their backend and against the stop of its workers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from taskbridge.check.finding import Finding, error, note, warning
from taskbridge.errors import TaskBridgeError
from taskbridge.schedules import known_schedules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from taskbridge.router import Router
    from taskbridge.schedules import Schedule
    from taskbridge.task import Task

FAR_APART = 20
"""Timeouts on one queue whose ratio is larger are those of slow and of quick tasks."""
TOGETHER = 4
"""More schedules than these at the same moments are a crowd."""
SHOWN = 5
"""Tasks that are named where many have the same."""


def task_findings(tasks: Sequence[Task[..., Any, Any]], router: Router, /, *, grace: timedelta) -> Iterator[Finding]:
    """Bind every task, and compare its timeout with the grace of a stop."""
    for task in tasks:
        try:
            router.bind(task)
        except TaskBridgeError as refusal:
            yield error(
                f"task {task.name}",
                f"its backend refuses it: {refusal}",
                consequence="Each enqueue of it raises this.",
                remedy="The refusal says what to do instead.",
            )
    seconds = f"{grace.total_seconds():g} s"
    long = [task.name for task in tasks if task.options.timeout is not None and task.options.timeout > grace]
    if long:
        yield warning(
            "grace of a stop",
            f"the timeout of {_names(long)} is above the grace of {seconds}",
            consequence="A stop or deploy kills such a job in the middle; it runs again from its beginning, and counts "
            "as crashed.",
            remedy="Raise `taskbridge worker --grace` and your orchestrator's kill delay, or make the task shorter.",
        )
    unbounded = [task.name for task in tasks if task.options.timeout is None]
    if unbounded:
        yield note(
            "timeouts",
            f"{_names(unbounded)} {'has' if len(unbounded) == 1 else 'have'} no timeout",
            consequence="A run that hangs holds its worker for ever, and no stop can wait for it.",
            remedy="Declare timeout=timedelta(...).",
        )
    broad = [task.name for task in tasks if task.options.retry and Exception in (task.options.retry.on or ())]
    if broad:
        yield note(
            "retries",
            f"every error of {_names(broad)} is retried",
            consequence="A bug, or data that will never do, is tried again as often as a server that is away.",
            remedy="Name the errors that pass by themselves in on=, or those that do not in give_up_on=.",
        )
    native = [task.name for task in tasks if any(set(options) - {"name"} for options in task.options.native.values())]
    if native:
        yield note(
            "native options",
            f"{_names(native)} {'says' if len(native) == 1 else 'say'} something to one engine alone",
            consequence="On any other engine native={...} has no effect.",
            remedy="Use an option of TaskBridge's where there is one.",
        )
    yield from _mixed_queues(tasks)


def _mixed_queues(tasks: Sequence[Task[..., Any, Any]]) -> Iterator[Finding]:
    limited: dict[str, list[tuple[timedelta, str]]] = {}
    for task in tasks:
        if task.options.timeout is not None:
            limited.setdefault(task.options.queue_name, []).append((task.options.timeout, task.name))
    for queue_name, limits in limited.items():
        (quick, first), (slow, last) = min(limits), max(limits)
        if slow > FAR_APART * quick:
            yield note(
                f"queue {queue_name}",
                f"{first} may take {quick.total_seconds():g} s there, and {last} {slow.total_seconds():g} s",
                consequence="Quick jobs wait behind slow ones.",
                remedy="Give the slow ones a queue and workers of their own: queue_name=, taskbridge worker -Q.",
            )


def schedule_findings(alias: str, router: Router, /) -> Iterator[Finding]:
    """Let every schedule of this backend meet it."""
    try:
        known = list(known_schedules())
    except TaskBridgeError as problem:
        yield error(
            "periodic tasks",
            str(problem),
            consequence="No worker and no scheduler starts.",
            remedy="The message says what to change.",
        )
        return
    aliases = router.settings.backends
    for schedule in known:
        if schedule.task.options.backend not in aliases and alias == next(iter(aliases)):
            yield error(
                f"schedule {schedule.name}",
                f"{schedule.task.name} belongs to a backend {schedule.task.options.backend!r}, which is not set",
                consequence="It is never enqueued by the clock.",
                remedy="Set the backend, or give the task another: backend=.",
            )
    schedules = [schedule for schedule in known if schedule.task.options.backend == alias]
    yield from _crowded(schedules)
    for schedule in schedules:
        yield from _overtaking(schedule)
        try:
            schedule.bind()
        except TaskBridgeError as refusal:
            yield error(
                f"schedule {schedule.name}",
                f"its backend refuses it: {refusal}",
                consequence="No worker of this backend starts with its scheduler.",
                remedy="The refusal says what to do instead.",
            )


def _crowded(schedules: Sequence[Schedule]) -> Iterator[Finding]:
    together: dict[str, list[str]] = {}
    for schedule in schedules:
        if not schedule.jitter:
            together.setdefault(str(schedule.timetable), []).append(schedule.name)
    for timetable, names in together.items():
        if len(names) > TOGETHER:
            yield note(
                "periodic tasks",
                f"{_names(names)} tick at the same moments: {timetable}",
                consequence="Their jobs come all at once, and wait for one another.",
                remedy="Spread them: jitter=timedelta(...).",
            )


def _overtaking(schedule: Schedule) -> Iterator[Finding]:
    timeout = schedule.task.options.timeout
    if timeout is None or schedule.overlap == "skip":
        return
    nominal = schedule.timetable.after(datetime.now(UTC))
    period = schedule.timetable.after(nominal) - nominal
    if timeout > period:
        yield note(
            f"schedule {schedule.name}",
            f"it ticks every {period.total_seconds():g} s, and its task may take {timeout.total_seconds():g} s",
            consequence="A tick may run while the one before does.",
            remedy="Say overlap='skip', or give the task a shorter timeout.",
        )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
