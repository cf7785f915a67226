"""When a schedule ticks: pure functions from one moment to the next, the same in every process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, Protocol

from taskbridge.errors import InvalidTask
from taskbridge.settings.suggestion import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

FIELDS: Final = ("minute", "hour", "day-of-month", "month", "day-of-week")
SHORTEST: Final = timedelta(seconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_LOOKBACK: Final = tuple(timedelta(days=days) for days in (0.1, 2, 40, 400, 365 * 50))
"""How far back the last nominal time is looked for, so that a week of minutes need not be counted through."""


class Timetable(Protocol):
    """Nominal times, aware and in UTC, without beginning or end."""

    def after(self, moment: datetime, /) -> datetime:
        """The first nominal time after an aware moment."""
        ...

    def latest(self, since: datetime, until: datetime, /) -> datetime | None:
        """The last nominal time after `since` and not after `until`; None if there is none."""
        ...

    def __str__(self) -> str:
        """What distinguishes it from any other."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """At every whole multiple of the interval since 1970, UTC, so that all processes agree without asking."""

    interval: timedelta

    def __post_init__(self) -> None:
        if not isinstance(self.interval, timedelta) or self.interval < SHORTEST:
            raise InvalidTask(f"every={self.interval!r} is not possible: it must be a timedelta of a second or more.")

    def after(self, moment: datetime, /) -> datetime:
        return _EPOCH + ((moment - _EPOCH) // self.interval + 1) * self.interval

    def latest(self, since: datetime, until: datetime, /) -> datetime | None:
        last = _EPOCH + (until - _EPOCH) // self.interval * self.interval
        return last if last > since else None

    def __str__(self) -> str:
        return f"every {self.interval.total_seconds():g} s"


@dataclass(frozen=True)
class Cron:
    """Five fields as cron(8) of Debian reads them, by the clock on the wall of an IANA zone.

    Where the hour or the minute is a star (or begins with one), it ticks as real time passes: in each hour that there
    is. Otherwise it ticks once at each time that it names: what the clocks jump over when summer begins ticks at the
    end of the jump, and of what comes twice when summer ends the first counts.
    """

    expression: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not isinstance(self.expression, str) or len(self.expression.split()) != len(FIELDS):
            raise InvalidTask(
                f"cron={self.expression!r} is not possible: it needs five fields, {', '.join(FIELDS)}, as in "
                f"'30 3 * * mon'."
            )
        _ = self._zone
        try:
            self._simulator(_EPOCH)
        except Exception as error:
            raise InvalidTask(self._refusal(str(error))) from error
        try:
            self.after(datetime(2000, 1, 1, tzinfo=UTC))
        except StopIteration:
            raise InvalidTask(f"cron={self.expression!r} never comes: no such day is in the calendar.") from None

    def after(self, moment: datetime, /) -> datetime:
        return next(self._from(moment))

    def latest(self, since: datetime, until: datetime, /) -> datetime | None:
        for lookback in _LOOKBACK:
            begin = max(since, until - lookback)
            found = max(takewhile(lambda nominal: nominal <= until, self._from(begin)), default=None)
            if found is not None or begin == since:
                return found
        return None

    def __str__(self) -> str:
        return f"cron {' '.join(self.expression.split())} {self.zone}"

    @cached_property
    def _zone(self) -> ZoneInfo:
        from zoneinfo import ZoneInfo, available_timezones

        try:
            return ZoneInfo(self.zone)
        except Exception as error:
            known = available_timezones()
            hint = did_you_mean(str(self.zone), known) if known else " There is no database of zones: install tzdata."
            hint = hint if len(hint) < 100 else " Write an IANA name, such as Europe/Berlin."
            raise InvalidTask(f"zone={self.zone!r} is not known.{hint}") from error

    def _from(self, moment: datetime) -> Iterator[datetime]:
        minute, hour, *_ = self.expression.split()
        if minute.startswith("*") or hour.startswith("*"):
            return self._as_time_passes(moment.astimezone(UTC))
        # In the hour that comes twice, the simulator names moments of its first passing when asked in the second.
        ticks = (local.astimezone(UTC) for local in self._simulator(moment.astimezone(self._zone)))
        return (nominal for nominal in ticks if nominal > moment)

    def _as_time_passes(self, moment: datetime) -> Iterator[datetime]:
        """From one change of clocks to the next: the simulator passes over ticks at one of half an hour."""
        offset = self._offset(moment)
        wall = (moment + offset).replace(tzinfo=None)
        while True:
            for found in self._simulator(wall):
                nominal = found.replace(tzinfo=UTC) - offset
                if (change := self._change(moment, nominal)) is not None:
                    moment, offset = change, self._offset(change)
                    wall = (change + offset - SHORTEST).replace(tzinfo=None)
                    break
                yield nominal
                moment = nominal
            else:
                return

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta(0)

    def _change(self, begin: datetime, end: datetime) -> datetime | None:
        """The first moment after `begin`, and not after `end`, at which clocks are changed; to the second."""
        offset = self._offset(begin)
        while begin < end:
            changed = min(begin + _DAY, end)
            if self._offset(changed) != offset:
                while changed - begin > SHORTEST:
                    middle = begin + (changed - begin) // 2
                    begin, changed = (middle, changed) if self._offset(middle) == offset else (begin, middle)
                return changed.replace(microsecond=0)
            begin = changed
        return None

    def _simulator(self, moment: datetime) -> Any:
        from cronsim import CronSim  # only who has a cron expression pays for it

        return CronSim(self.expression, moment)

    def _refusal(self, said: str) -> str:
        name = said.removeprefix("Bad ")
        if name not in FIELDS:
            return f"cron={self.expression!r} cannot be read: {said}."
        value = self.expression.split()[FIELDS.index(name)]
        return f"cron={self.expression!r} is not possible: {value!r} is no {name}."
