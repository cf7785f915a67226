"""The signals."""

from __future__ import annotations

import importlib
from typing import Any

from tests.django_backend.worker import Finish, received

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")
OURS = "taskbridge.django.backend.Backend"


def test_the_signals_tell_of_a_job_that_succeeds(finish: Finish) -> None:
    result = finish(tasks.double.enqueue(number=4))
    enqueued, started, finished = received(result.id, 3)
    assert [each["signal"] for each in (enqueued, started, finished)] == ["enqueued", "started", "finished"]
    assert {each["sender"] for each in (enqueued, started, finished)} == {OURS}
    assert [each["status"] for each in (enqueued, started, finished)] == ["READY", "RUNNING", "SUCCESSFUL"]
    assert [each["attempts"] for each in (enqueued, started, finished)] == [0, 1, 1]
    assert {str(each["kwargs"]) for each in (enqueued, started, finished)} == {"{'number': 4}"}
    assert {each["backend"] for each in (enqueued, started, finished)} == {"default"}
    assert finished["value"] == 8
    assert finished["times"] == [result.enqueued_at.isoformat(), result.started_at.isoformat()]


def test_the_end_of_a_job_is_told_once_after_its_last_attempt(finish: Finish) -> None:
    result = finish(tasks.stubborn.enqueue(9))
    told = received(result.id, 5)
    assert [each["signal"] for each in told] == ["enqueued", "started", "started", "started", "finished"]
    assert [each["attempts"] for each in told] == [0, 1, 2, 3, 3]
    assert told[-1]["errors"] == ["builtins.ValueError"] * 3
