"""`@periodic`, and the schedules that a process knows."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from taskbridge.errors import ConfigurationError, InvalidTask
from taskbridge.schedules.schedule import Schedule
from taskbridge.schedules.timetable import Cron, Every
from taskbridge.settings.suggestion import did_you_mean
from taskbridge.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskbridge.schedules.schedule import Expires, Missed, Overlap
    from taskbridge.schedules.timetable import Timetable


class DjangoTask(Protocol):
    """A task under Django's own decorator, whose class needs Django."""

    @property
    def module_path(self) -> str: ...

    @property
    def takes_context(self) -> bool: ...


T = TypeVar("T", bound=Task[..., Any, Any] | DjangoTask)


class Schedules:
    """The schedules of one application, each under a name of its own."""

    def __init__(self) -> None:
        self._schedules: dict[str, Schedule] = {}

    def add(self, schedule: Schedule, /) -> None:
        """Make a schedule known; the same one again, by a module that is imported again, takes its place.

        Raises:
            InvalidTask: another has the name.
        """
        other = self._schedules.get(schedule.name)
        if other is not None and _differ(other, schedule):
            raise InvalidTask(
                f"The schedule name {schedule.name!r} stands for {other.task.name} at {other.timetable} already and "
                f"cannot stand for {schedule.task.name} at {schedule.timetable} too. Name one of them: "
                f"@periodic(name=...)."
            )
        self._schedules[schedule.name] = schedule

    def __iter__(self) -> Iterator[Schedule]:
        return iter(self._schedules.values())

    def get(self, name: str, /) -> Schedule:
        """The schedule of this name.

        Raises:
            ConfigurationError: there is none.
        """
        found = self._schedules.get(name)
        if found is None:
            hint = did_you_mean(name, self._schedules) if self._schedules else " None is declared: import its module."
            raise ConfigurationError(f"There is no schedule {name!r}.{hint}")
        return found


def _differ(one: Schedule, other: Schedule) -> bool:
    return (one.task.name, str(one.timetable)) != (other.task.name, str(other.timetable))


schedules = Schedules()
"""The process's own: `@taskbridge.periodic` adds to it."""


def periodic(
    *,
    cron: str | None = None,
    every: timedelta | None = None,
    zone: str | None = None,
    name: str | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    missed: Missed = "latest",
    jitter: timedelta = timedelta(0),
    overlap: Overlap = "allow",
    expires: Expires = "period",
) -> Callable[[T], T]:
    """Let a task be enqueued by the clock; stands above `@task`, ours or Django's, once or several times.

    Args:
        cron: five fields, as in `"30 3 * * mon-fri"`.
        every: an interval instead, of a second or more, counted from 1970, UTC.
        zone: the IANA zone in which `cron` is read; UTC unless given.
        name: of the schedule; the task's unless given.
        args: positional arguments of each job.
        kwargs: keyword arguments of each job.
        missed: of the ticks that came while no scheduler ran, enqueue the latest, all, or none.
        jitter: start each tick up to this much later.
        overlap: with `skip`, do not run a tick while an earlier one runs.
        expires: latest start, counted from the earliest; `period`: when the next tick comes.

    Raises:
        InvalidTask: an option that can work nowhere, arguments that do not fit the task, or a name that is taken.
    """

    def declare(task: T) -> T:
        own = _ours(task)
        schedule = Schedule(
            name=own.name if name is None else name,
            task=own,
            timetable=timetable(cron, every, zone),
            args=tuple(args),
            kwargs=dict(kwargs or {}),
            missed=missed,
            jitter=jitter,
            overlap=overlap,
            expires=expires,
        )
        schedules.add(schedule)
        return task

    return declare


def _ours(task: object) -> Task[..., Any, Any]:
    django: Any = sys.modules.get("taskbridge.django.backend")  # loaded by whoever has an alias of ours
    found = task if isinstance(task, Task) else None if django is None else django.scheduled(task)
    if not isinstance(found, Task):
        raise InvalidTask(
            f"{task!r:.100} is no task of TaskBridge's. Write @taskbridge.periodic(...) above @taskbridge.task, or "
            f"above Django's @task of an alias whose BACKEND is taskbridge.django.Backend."
        )
    return found


def timetable(cron: str | None, every: timedelta | None, zone: str | None) -> Timetable:
    """From what was written.

    Raises:
        InvalidTask: neither or both of `cron` and `every`, a zone without `cron`, or a value that cannot be read.
    """
    if (cron is None) == (every is None):
        raise InvalidTask("A schedule needs either cron='30 3 * * *' or every=timedelta(...), and not both.")
    if cron is not None:
        return Cron(cron, "UTC" if zone is None else zone)
    if zone is not None:
        raise InvalidTask(f"zone={zone!r} is for cron alone: an interval is counted from 1970, UTC.")
    assert every is not None
    return Every(every)
