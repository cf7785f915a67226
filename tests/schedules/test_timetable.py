"""When a schedule ticks: intervals, cron expressions, both days on which clocks change, and any moment at all."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskbridge.errors import InvalidTask
from taskbridge.schedules import Cron, Every
from taskbridge.schedules.timetable import FIELDS

BERLIN = "Europe/Berlin"
LORD_HOWE = "Australia/Lord_Howe"
ZONES = ("UTC", BERLIN, "America/New_York", LORD_HOWE, "Africa/Cairo", "Asia/Kathmandu", "America/Havana")
"""Among them changes of half an hour, and changes at midnight."""
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

moments = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - given a zone


def ticks(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next times on the wall, with their offsets."""
    timetable, moment, found = Cron(cron, zone), datetime.fromisoformat(after), []
    for _ in range(count):
        moment = timetable.after(moment)
        found.append(moment.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z"))
    return found


def test_a_time_that_the_clocks_jump_over_ticks_once_at_the_end_of_the_jump() -> None:
    # On 29 March 2026 at 02:00 it is 03:00 in Berlin.
    seen = ticks("30 2 * * *", BERLIN, "2026-03-28T00:00+01:00", 3)
    assert seen == ["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]


def test_a_time_that_comes_twice_ticks_once_when_it_comes_first() -> None:
    # On 25 October 2026 at 03:00 it is 02:00 in Berlin.
    seen = ticks("30 2 * * *", BERLIN, "2026-10-24T00:00+02:00", 3)
    assert seen == ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]
    # Also when asked between the two.
    assert ticks("30 2 * * *", BERLIN, "2026-10-25T02:15+01:00", 1) == ["26 02:30 +0100"]


def test_a_star_ticks_as_real_time_passes_on_both_days() -> None:
    spring = ticks("0 * * * *", BERLIN, "2026-03-29T00:30+01:00", 3)
    assert spring == ["29 01:00 +0100", "29 03:00 +0200", "29 04:00 +0200"]
    autumn = ticks("0 * * * *", BERLIN, "2026-10-25T00:30+02:00", 4)
    assert autumn == ["25 01:00 +0200", "25 02:00 +0200", "25 02:00 +0100", "25 03:00 +0100"]


def test_midnight_is_there_where_the_clocks_jump_over_it() -> None:
    # On 24 April 2026 there is no 00:00 in Cairo.
    seen = ticks("0 0 * * *", "Africa/Cairo", "2026-04-22T12:00+02:00", 3)
    assert seen == ["23 00:00 +0200", "24 01:00 +0300", "25 00:00 +0300"]


def test_the_fields_are_read_as_cron_reads_them() -> None:
    assert ticks("*/20 8-9 * * mon", "UTC", "2026-11-20T00:00+00:00", 4) == [
        "23 08:00 +0000", "23 08:20 +0000", "23 08:40 +0000", "23 09:00 +0000"
    ]  # fmt: skip
    # Either day where both are given.
    assert ticks("0 0 13 * fri", "UTC", "2026-11-01T00:00+00:00", 3) == [
        "06 00:00 +0000", "13 00:00 +0000", "20 00:00 +0000"
    ]  # fmt: skip
    assert ticks("0 0 L * *", "UTC", "2024-02-01T00:00+00:00", 2) == ["29 00:00 +0000", "31 00:00 +0000"]


def test_an_interval_is_counted_from_1970() -> None:
    every = Every(timedelta(minutes=7))
    first = every.after(datetime(2026, 11, 21, tzinfo=UTC))
    assert (first - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=7) == timedelta(0)
    assert every.after(first) == first + timedelta(minutes=7)


@cache
def walls(zone: str, begin: datetime) -> list[tuple[datetime, datetime]]:
    """Every minute of four days: the moment, and the time on the wall."""
    moments = [begin + number * MINUTE for number in range(4 * 24 * 60)]
    return [(moment, moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for moment in moments]


def by_hand(minute: str, hour: str, zone: str, after: datetime) -> list[datetime]:
    """The ticks of the days that follow, by looking at every minute of them."""
    begin = after.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    seen = walls(zone, begin)

    def fits(wall: datetime) -> bool:
        return (minute.startswith("*") or str(wall.minute) == minute) and (
            hour.startswith("*") or str(wall.hour) == hour
        )

    if minute.startswith("*") or hour.startswith("*"):
        found = {moment for moment, wall in seen if fits(wall)}
    else:
        first: dict[datetime, datetime] = {}
        for moment, wall in seen:
            first.setdefault(wall, moment)
        found = {first[wall] for wall in first if fits(wall)}
        # What the clocks jumped over: at the end of the jump.
        for (_, before), (moment, wall) in pairwise(seen):
            jumped = int((wall - before) / MINUTE)
            found |= {moment for number in range(1, jumped) if fits(before + number * MINUTE)}
    return sorted(moment for moment in found if moment > after)


around_changes = st.sampled_from(
    [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC),
     datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC),
     datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
     datetime(2026, 4, 23, 22, tzinfo=UTC), datetime(2026, 10, 29, 21, tzinfo=UTC)]
)  # fmt: skip


@settings(max_examples=60)
@given(
    minute=st.one_of(st.just("*"), st.integers(0, 59).map(str)),
    hour=st.one_of(st.just("*"), st.integers(0, 4).map(str), st.just("23")),
    zone=st.sampled_from(ZONES),
    change=around_changes,
    offset=st.timedeltas(timedelta(hours=-3), timedelta(hours=3)),
)
@example(minute="*", hour="0", zone=LORD_HOWE, change=datetime(2026, 4, 4, 15, tzinfo=UTC), offset=timedelta(0))
@example(minute="*", hour="4", zone=LORD_HOWE, change=datetime(2026, 10, 3, 15, 30, tzinfo=UTC), offset=-2 * HOUR)
@example(minute="20", hour="*", zone=LORD_HOWE, change=datetime(2026, 4, 4, 15, tzinfo=UTC), offset=-2 * HOUR)
def test_around_every_change_of_clocks_it_ticks_as_it_is_told_by_hand(
    minute: str, hour: str, zone: str, change: datetime, offset: timedelta
) -> None:
    after = change + offset
    expected = by_hand(minute, hour, zone, after)[:40]
    timetable, found = Cron(f"{minute} {hour} * * *", zone), [after]
    for _ in expected:
        found.append(timetable.after(found[-1]))
    assert found[1:] == expected


timetables = st.one_of(
    st.timedeltas(timedelta(seconds=1), timedelta(days=40)).map(Every),
    st.builds(
        Cron,
        st.sampled_from(("* * * * *", "30 2 * * *", "*/7 1-3 * * *", "0 0 L * *", "15 23 * * sun", "0 0 29 2 *")),
        st.sampled_from(ZONES),
    ),
)


@settings(max_examples=100)
@given(timetable=timetables, moment=moments, back=st.timedeltas(timedelta(0), timedelta(days=60)))
@example(timetable=Cron("30 2 * * *", BERLIN), moment=datetime(2026, 10, 25, 1, tzinfo=UTC), back=timedelta(days=1))
def test_the_next_tick_is_later_nearest_and_the_latest_of_its_moment(
    timetable: Cron | Every, moment: datetime, back: timedelta
) -> None:
    following = timetable.after(moment)
    assert following > moment
    assert following.utcoffset() == timedelta(0)
    # Nothing lies between, wherever one asks from.
    assert timetable.after(moment + (following - moment) / 2) == following
    assert timetable.latest(moment, following) == following
    assert timetable.latest(following, following) is None
    before = timetable.latest(moment - back, moment)
    if before is None:
        assert timetable.after(moment - back) == following
    else:
        assert moment - back < before <= moment
        assert timetable.after(before) == following


@pytest.mark.parametrize(("position", "field"), list(enumerate(FIELDS)))
@pytest.mark.parametrize("wrong", ["99", "x", "", "1-", "*/0", "-1", "1,,2"])
def test_a_field_that_cannot_be_read_is_named(position: int, field: str, wrong: str) -> None:
    fields = ["0", "0", "1", "1", "*"]
    fields[position] = wrong
    with pytest.raises(InvalidTask, match=f"{wrong!r} is no {field}" if wrong not in ("", "*") else "five fields"):
        Cron(" ".join(fields))


@given(st.text(alphabet="0123456789*/,-#LW adefjmonsu", max_size=14))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with contextlib.suppress(InvalidTask):
        Cron(f"{text} * * * *" if " " not in text else text)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 3 * *", "five fields"),
        ("0 0 3 * * *", "five fields"),
        ("0 0 30 2 *", "'30' is no day-of-month"),
        (7, "five fields"),
    ],
)
def test_an_expression_that_is_none_is_refused(cron: str, words: str) -> None:
    with pytest.raises(InvalidTask, match=words):
        Cron(cron)


@pytest.mark.parametrize("zone", ["Europe/Berln", "Nowhere", "", "../etc/passwd", "/etc/localtime", 1])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidTask, match="zone="):
        Cron("0 3 * * *", zone)
    with pytest.raises(InvalidTask, match="Did you mean 'Europe/Berlin'"):
        Cron("0 3 * * *", "Europe/Berln")


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=999), 60, None])
def test_an_interval_below_a_second_is_refused(interval: timedelta) -> None:
    with pytest.raises(InvalidTask, match="every="):
        Every(interval)
