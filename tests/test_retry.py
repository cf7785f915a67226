from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbridge.errors import DeadlineExceeded, InvalidTask, UndecodableMessage
from taskbridge.retry import LONGEST_DELAY, Retry

durations = st.timedeltas(min_value=timedelta(0), max_value=LONGEST_DELAY)
fractions = st.floats(min_value=0, max_value=1, exclude_max=True)


@st.composite
def policies(draw: st.DrawFn) -> Retry:
    delay, max_delay = sorted((draw(durations), draw(durations)))
    return Retry(
        draw(st.integers(1, 10**9)),
        delay=delay,
        max_delay=max_delay,
        factor=draw(st.floats(min_value=1, max_value=1000)),
        jitter=draw(st.booleans()),
    )


class Throttled(Exception):
    def __init__(self, retry_after: Any) -> None:
        self.retry_after = retry_after


def test_the_delay_doubles_until_its_cap() -> None:
    retry = Retry(9, delay=timedelta(seconds=2), max_delay=timedelta(seconds=20), jitter=False)
    delays = [retry.delay_after(attempt, fraction=0.3).total_seconds() for attempt in range(1, 7)]
    assert delays == [2, 4, 8, 16, 20, 20]


def test_jitter_takes_its_fraction_of_the_whole_delay() -> None:
    retry = Retry(9, delay=timedelta(seconds=8))
    assert retry.delay_after(2, fraction=0.0) == timedelta(0)
    assert retry.delay_after(2, fraction=0.25) == timedelta(seconds=4)


@given(policies(), st.integers(1, 10**6), fractions)
def test_no_delay_leaves_its_bounds_at_any_attempt(retry: Retry, attempt: int, fraction: float) -> None:
    assert timedelta(0) <= retry.delay_after(attempt, fraction=fraction) <= retry.max_delay


@given(policies(), st.integers(1, 10**6))
def test_without_jitter_no_delay_is_shorter_than_the_one_before(retry: Retry, attempt: int) -> None:
    steady = dataclasses.replace(retry, jitter=False)
    assert steady.delay_after(attempt, fraction=0.5) <= steady.delay_after(attempt + 1, fraction=0.5)
    assert steady.delay_after(1, fraction=0.5) == retry.delay


def test_the_last_attempt_gives_up() -> None:
    retry = Retry(3, on=(Exception,))
    assert retry.next_delay(2, ValueError(), fraction=0.5) is not None
    assert retry.next_delay(3, ValueError(), fraction=0.5) is None
    assert retry.next_delay(4, ValueError(), fraction=0.5) is None


def test_only_the_named_errors_ask_for_another_attempt() -> None:
    retry = Retry(3, on=(OSError, KeyboardInterrupt), give_up_on=(FileNotFoundError,))
    assert retry.next_delay(1, ConnectionError(), fraction=0.5) is not None
    assert retry.next_delay(1, KeyboardInterrupt(), fraction=0.5) is not None
    assert retry.next_delay(1, FileNotFoundError(), fraction=0.5) is None
    assert retry.next_delay(1, ValueError(), fraction=0.5) is None
    assert Retry(3, on=(Exception,)).next_delay(1, KeyboardInterrupt(), fraction=0.5) is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (timedelta(hours=2), timedelta(hours=2)),
        (7200, timedelta(hours=2)),
        (7200.5, timedelta(seconds=7200.5)),
        (1, timedelta(seconds=30)),
        (-5, timedelta(seconds=30)),
        (10**400, LONGEST_DELAY),
        (float("inf"), LONGEST_DELAY),
        (timedelta.max, LONGEST_DELAY),
        (float("nan"), timedelta(seconds=30)),
        ("soon", timedelta(seconds=30)),
        (None, timedelta(seconds=30)),
        (True, timedelta(seconds=30)),
    ],
)
def test_the_delay_is_at_least_what_the_error_asks(asked: Any, expected: timedelta) -> None:
    retry = Retry(3, delay=timedelta(minutes=1), max_delay=timedelta(minutes=1), on=(Exception,))
    assert retry.next_delay(1, Throttled(asked), fraction=0.5) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attempts": 0}, "attempts"),
        ({"attempts": True}, "attempts"),
        ({"attempts": 2.5}, "attempts"),
        ({"delay": 3}, "delay must be a timedelta"),
        ({"delay": timedelta(seconds=-1)}, "delay"),
        ({"delay": timedelta(hours=1)}, "max_delay must be no shorter than delay"),
        ({"max_delay": timedelta.max}, "365 days"),
        ({"factor": 0.5}, "factor"),
        ({"factor": float("inf")}, "factor"),
        ({"factor": 10**400}, "factor"),
        ({"jitter": 1}, "jitter"),
        ({"on": (ValueError())}, "exception class"),
        ({"give_up_on": ("ValueError",)}, "exception class"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTask, match=words):
        Retry(**{"attempts": 3, **options})


def test_one_exception_class_needs_no_tuple() -> None:
    assert Retry(2, on=OSError).on == (OSError,)  # type: ignore[arg-type]  # what a user may well write


@given(policies())
def test_the_numbers_travel_and_the_exception_classes_stay_with_the_task(retry: Retry) -> None:
    declared = Retry(1, on=(OSError,), give_up_on=(FileNotFoundError,))
    arrived = Retry.from_wire(json.loads(json.dumps(retry.to_wire())), declared=declared)
    assert arrived == dataclasses.replace(retry, on=(OSError,), give_up_on=(FileNotFoundError,))
    assert Retry.from_wire(retry.to_wire()) == dataclasses.replace(retry, on=(Exception,))


@pytest.mark.parametrize(
    "wire", [None, [], {}, {"attempts": 0}, {"attempts": 2, "on": ["os.error"]}, {"attempts": 2, "delay": "x"}]
)
def test_what_is_no_policy_is_an_undecodable_message(wire: Any) -> None:
    with pytest.raises(UndecodableMessage):
        Retry.from_wire(wire)


def test_a_timeout_is_retried_unless_it_is_given_up_on() -> None:
    error = DeadlineExceeded("too slow")
    assert Retry(2, on=(Exception,)).next_delay(1, error, fraction=0.5) is not None
    assert Retry(2, on=(Exception,), give_up_on=(DeadlineExceeded,)).next_delay(1, error, fraction=0.5) is None
    assert Retry(2, on=(OSError,)).next_delay(1, error, fraction=0.5) is None


@pytest.mark.parametrize("policy", [Retry(3), Retry(3, on=())], ids=["unsaid", "none"])
def test_no_error_asks_for_another_attempt_unless_it_is_said(policy: Retry) -> None:
    assert policy.next_delay(1, ValueError(), fraction=0.5) is None
    assert policy.next_delay(1, DeadlineExceeded(), fraction=0.5) is None
