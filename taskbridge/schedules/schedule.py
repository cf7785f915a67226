"""A periodic task: which call, when, and what becomes of ticks that nobody saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from taskbridge.errors import InvalidTask, UnsupportedFeature
from taskbridge.identity import fixed_id
from taskbridge.message import Tick
from taskbridge.router import router
from taskbridge.schedules.timetable import Every

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge.result import TaskResult
    from taskbridge.schedules.timetable import Timetable
    from taskbridge.task import Task

Missed = Literal["latest", "all", "skip"]
Overlap = Literal["allow", "skip"]
Expires = timedelta | Literal["period"] | None

LATE: Final = timedelta(minutes=1)
"""A tick is missed when it is seen later than this. A takeover by another scheduler takes less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule of one task. Meanings: `docs/scheduler.md`."""

    name: str
    task: Task[..., Any, Any]
    timetable: Timetable
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    missed: Missed = "latest"
    """What is enqueued of the ticks that came while no scheduler ran."""
    jitter: timedelta = timedelta(0)
    """Each tick starts up to this much later, always the same for the same tick."""
    overlap: Overlap = "allow"
    """`skip`: a tick is not run while an earlier one is."""
    expires: Expires = "period"
    """Latest start after the earliest; `period`: when the next tick comes; None: as the task says, or never."""

    def __post_init__(self) -> None:
        """Raises `InvalidTask` for what can work nowhere; arguments are checked when the task is bound."""
        self._want(isinstance(self.name, str) and self.name.isprintable() and self.name != "", "name", "a name")
        self._want(self.missed in get_args(Missed), "missed", f"one of {', '.join(get_args(Missed))}")
        self._want(self.overlap in get_args(Overlap), "overlap", f"one of {', '.join(get_args(Overlap))}")
        is_span = isinstance(self.jitter, timedelta) and self.jitter >= timedelta(0)
        self._want(is_span, "jitter", "a timedelta that is not negative")
        has_room = not isinstance(self.timetable, Every) or self.jitter < self.timetable.interval
        self._want(has_room, "jitter", "shorter than the interval")
        is_limit = isinstance(self.expires, timedelta) and self.expires > timedelta(0)
        self._want(is_limit or self.expires in ("period", None), "expires", "a timedelta above zero, 'period' or None")
        try:
            self.task.codec.check_call(self.args, self.kwargs)
        except TypeError as error:
            raise InvalidTask(
                f"The schedule {self.name!r} does not give {self.task.name} the arguments that it needs: {error}. Add "
                f"args=(...) or kwargs={{...}}, or give them defaults."
            ) from None
        if self.jitter and self.task.options.run_after is not None:
            raise InvalidTask(
                f"The schedule {self.name!r} has a jitter and its task a run_after: take one of them out."
            )

    def enqueue(self, nominal: datetime, now: datetime, /) -> TaskResult[Any]:
        """Enqueue the job of one tick: the same id whoever does it. Raises as `Task.enqueue`."""
        start = nominal + self._delay(nominal)
        options: dict[str, Any] = {"timing": "now"}
        if start > now and self.jitter:
            options["run_after"] = start
        if (latest := self._expires_at(nominal, now)) is not None:
            options["expires"] = latest
        return self._send(self.job_id(nominal), nominal, options)

    def trigger(self, job_id: str, now: datetime, /) -> TaskResult[Any]:
        """Enqueue a job now, beside all ticks."""
        return self._send(job_id, now, {"timing": "now"})

    def bind(self) -> None:
        """Let the schedule meet its backend.

        Raises:
            UnsupportedFeature: it refuses something that the schedule or its task asks for.
            InvalidArguments: an argument would not arrive as it is.
        """
        options: dict[str, Any] = {"timing": "now"}
        if self.jitter:
            options["run_after"] = self.jitter
        if self.expires is not None and self.task.options.expires is None:
            options["expires"] = timedelta(seconds=1)
        binding = router.bind(self.task.using(**options))
        self.task.codec.encode(self.args, self.kwargs)
        if self.overlap == "skip" and binding.has_native_workers:
            raise UnsupportedFeature(
                f"overlap='skip' of the schedule {self.name!r} is refused on {binding.alias!r}: workers that "
                f"TaskBridge does not run hold no lease. Take it out, or take ?workers=native out of the URL."
            )

    def job_id(self, nominal: datetime, /) -> str:
        """The id of a tick's job."""
        return fixed_id(nominal, self.name)

    def _send(self, job_id: str, nominal: datetime, options: dict[str, Any]) -> TaskResult[Any]:
        tick = Tick(schedule=self.name, nominal=nominal, is_alone=self.overlap == "skip")
        return router.bind(self.task.using(**options)).send_tick(job_id, self.args, dict(self.kwargs), tick)

    def _delay(self, nominal: datetime) -> timedelta:
        from hashlib import sha256  # with OpenSSL it costs each import of taskbridge some ms

        digest = sha256(f"{self.name} {nominal.isoformat()}".encode()).digest()
        return self.jitter * (int.from_bytes(digest[:6]) / (1 << 48))

    def _expires_at(self, nominal: datetime, now: datetime) -> datetime | None:
        start = nominal + self._delay(nominal)
        if isinstance(self.expires, timedelta):
            return max(start, now) + self.expires
        if self.expires is None or self.task.options.expires is not None:
            return None
        period = self.timetable.after(nominal) - nominal
        # One that was missed and is made up for has a whole period from now on.
        return start + period if now < start + period else now + period

    def _want(self, is_right: bool, option: str, wanted: str) -> None:
        if not is_right:
            value = getattr(self, option)
            raise InvalidTask(f"{option}={value!r} of the schedule {self.name!r} is not possible: it must be {wanted}.")
