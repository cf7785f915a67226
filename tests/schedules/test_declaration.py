"""`@periodic` and the settings: what cannot work is refused where it is written."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge.errors import ConfigurationError, InvalidArguments, InvalidTask
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.schedules import Cron, Every, known_schedules, schedules
from taskbridge.settings import build
from taskbridge.settings.sources import from_pyproject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = timedelta(hours=1)


@taskbridge.task
def report(to: str, *, days: int = 1) -> None: ...


@taskbridge.task
def clean() -> None: ...


@taskbridge.task(takes_context=True)
def in_context(context: taskbridge.Context, until: timedelta = HOUR) -> None: ...


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(schedules, "_schedules", {})
    taskbridge.configure("memory://")
    yield
    router.configure(None)


def test_the_decorator_gives_the_task_back_and_names_the_schedule_after_it() -> None:
    assert taskbridge.periodic(cron="0 3 * * *", zone="Europe/Berlin")(clean) is clean
    taskbridge.periodic(every=HOUR, name="hourly", args=("ann",), kwargs={"days": 7})(report)
    nightly, hourly = schedules
    assert (nightly.name, nightly.timetable) == (clean.name, Cron("0 3 * * *", "Europe/Berlin"))
    assert (hourly.name, hourly.timetable, hourly.args, dict(hourly.kwargs)) == (
        "hourly", Every(HOUR), ("ann",), {"days": 7}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either cron.* or every"),
        ({"cron": "0 3 * * *", "every": HOUR}, "not both"),
        ({"cron": "0 3 * *"}, "five fields"),
        ({"cron": "0 25 * * *"}, "'25' is no hour"),
        ({"cron": "0 3 * * *", "zone": "Europe/Berln"}, "Did you mean 'Europe/Berlin'"),
        ({"every": timedelta(0)}, "every=.*a second or more"),
        ({"every": -HOUR}, "every=.*a second or more"),
        ({"every": HOUR, "zone": "UTC"}, "zone='UTC' is for cron alone"),
        ({"every": HOUR, "name": ""}, "name=''"),
        ({"every": HOUR, "missed": "some"}, "missed='some'.*latest, all, skip"),
        ({"every": HOUR, "overlap": True}, "overlap=True.*allow, skip"),
        ({"every": HOUR, "jitter": -HOUR}, "jitter=.*not negative"),
        ({"every": HOUR, "jitter": HOUR}, "jitter=.*shorter than the interval"),
        ({"every": HOUR, "jitter": 5}, "jitter=5"),
        ({"every": HOUR, "expires": timedelta(0)}, "expires=.*above zero"),
        ({"every": HOUR, "expires": "never"}, "expires='never'"),
        ({"every": HOUR, "args": (1,)}, "does not give .*clean the arguments"),
        ({"every": HOUR, "kwargs": {"a": 1}}, "does not give .*clean the arguments"),
    ],
)
def test_what_can_work_nowhere_is_refused_at_decoration(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTask, match=words):
        taskbridge.periodic(**options)(clean)
    assert list(schedules) == []


def test_a_required_argument_that_is_not_given_is_named() -> None:
    with pytest.raises(InvalidTask, match="'to'"):
        taskbridge.periodic(every=HOUR)(report)


def test_the_context_is_not_an_argument_to_give() -> None:
    taskbridge.periodic(every=HOUR)(in_context)


def test_a_plain_function_is_refused() -> None:
    with pytest.raises(InvalidTask, match=r"above @taskbridge\.task"):
        taskbridge.periodic(every=HOUR)(len)  # type: ignore[type-var]  # what is refused


def test_jitter_and_a_run_after_of_the_task_contradict_each_other() -> None:
    with pytest.raises(InvalidTask, match=r"jitter.*run_after"):
        taskbridge.periodic(every=HOUR, jitter=timedelta(seconds=5))(clean.using(run_after=HOUR))


def test_two_schedules_of_one_name_are_refused_and_the_same_one_again_is_not() -> None:
    taskbridge.periodic(every=HOUR)(clean)
    taskbridge.periodic(every=HOUR)(clean)
    with pytest.raises(InvalidTask, match=r"clean.* stands for .*every 3600 s already.*name="):
        taskbridge.periodic(every=2 * HOUR)(clean)
    with pytest.raises(InvalidTask, match="already"):
        taskbridge.periodic(every=HOUR, name=clean.name, args=("ann",))(report)
    taskbridge.periodic(every=2 * HOUR, name="slower")(clean)
    assert len(list(schedules)) == 2


def test_an_argument_that_would_not_arrive_is_refused_at_binding() -> None:
    taskbridge.periodic(every=HOUR, args=(object(),))(report)
    (schedule,) = schedules
    with pytest.raises(InvalidArguments, match="'to'"):
        schedule.bind()


def test_an_unknown_name_gets_a_suggestion() -> None:
    taskbridge.periodic(every=HOUR, name="nightly")(clean)
    with pytest.raises(ConfigurationError, match=r"'nighly'\. Did you mean 'nightly'"):
        schedules.get("nighly")


def test_settings_declare_schedules_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"""
        [tool.taskbridge.periodic.weekly]
        task = "{report.name}"
        cron = "0 6 * * mon"
        zone = "Asia/Tokyo"
        args = ["ann"]
        kwargs = {{days = 7}}
        missed = "all"
        overlap = "skip"
        jitter = 90
        expires = 600

        [tool.taskbridge.periodic.often]
        task = "{in_context.name}"
        every = 30
        kwargs = {{until = "PT5M"}}
        expires = "never"
    """)
    router.configure(from_pyproject(tmp_path))
    weekly, often = known_schedules()
    assert (weekly.name, weekly.timetable, weekly.args) == ("weekly", Cron("0 6 * * mon", "Asia/Tokyo"), ("ann",))
    assert (weekly.missed, weekly.overlap, weekly.jitter, weekly.expires) == (
        "all", "skip", timedelta(seconds=90), timedelta(minutes=10)
    )  # fmt: skip
    assert (often.timetable, often.expires) == (Every(timedelta(seconds=30)), None)
    assert dict(often.kwargs) == {"until": timedelta(minutes=5)}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"cron": "0 3 * * *"}, "must be a table with a task"),
        ("0 3 * * *", "must be a table with a task"),
        ({"task": "tests.schedules.test_declaration.claen", "every": 5}, "Did you mean '.*clean'"),
        ({"task": clean.name, "evry": 5}, "unknown key 'evry'. Did you mean 'every'"),
        ({"task": clean.name, "every": "5m"}, "every='5m' must be a number of seconds"),
        ({"task": clean.name, "every": 0}, "periodic.x: every="),
        ({"task": clean.name, "every": 5, "expires": "no"}, "'period' or 'never'"),
        ({"task": clean.name, "every": 5, "args": "abc"}, "args must be a list"),
        ({"task": clean.name, "every": 5, "args": [1]}, "does not fit its signature"),
        ({"task": report.name, "every": 5}, "'to'"),
        ({"task": report.name, "every": 5, "args": [5]}, "'to'"),
        ({"task": clean.name, "cron": "0 3 * * x"}, "'x' is no day-of-week"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_its_name(table: object, words: str) -> None:
    assert registry.get(clean.name) is not None
    router.configure(build({"periodic": {"x": table}}, origin="a test"))
    with pytest.raises(ConfigurationError, match=rf"periodic\.x.*{words}|{words}"):
        known_schedules()


def test_a_setting_cannot_take_the_name_of_a_declared_schedule() -> None:
    taskbridge.periodic(every=HOUR, name="nightly")(clean)
    taskbridge.configure("memory://", periodic={"nightly": {"task": clean.name, "every": 60}})
    with pytest.raises(ConfigurationError, match="already"):
        known_schedules()


def test_periodic_must_be_a_table() -> None:
    with pytest.raises(ConfigurationError, match="periodic must be a table"):
        build({"periodic": ["nightly"]}, origin="a test")
