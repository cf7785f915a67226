"""The topic guide: values that JSON does not have, transactions, pickles."""

from __future__ import annotations

import importlib
import pickle
from datetime import UTC, datetime
from functools import partial
from typing import Any

import django
import pytest
from django.db import transaction

import taskbridge
from tests.django_backend.worker import SUCCESSFUL, Finish

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


def test_arguments_that_json_does_not_have_are_a_type_error() -> None:
    for value in (datetime.now(UTC), object(), {1, 2}, {1: 2}, tasks.Broken):
        with pytest.raises(TypeError):
            tasks.echo.enqueue(value)


def test_a_tuple_arrives_as_a_list_and_text_of_any_kind_as_text(finish: Finish) -> None:
    result = finish(tasks.echo.enqueue((1, 2, (3,)), b"bytes", word=SUCCESSFUL))
    assert result.args == [[1, 2, [3]], "bytes"]
    assert result.kwargs == {"word": "SUCCESSFUL"}
    assert result.return_value == [[[1, 2, [3]], "bytes"], {"word": "SUCCESSFUL"}]


def test_an_annotation_carries_what_json_does_not_have(finish: Finish) -> None:
    from decimal import Decimal

    result = finish(tasks.typed.enqueue(Decimal("1.10"), when=datetime(2030, 1, 2, tzinfo=UTC)))
    assert result.return_value == Decimal("2.10")
    assert result.args == ["1.10"]


def test_a_job_is_enqueued_when_a_transaction_is_committed(finish: Finish) -> None:
    results: list[Any] = []
    with transaction.atomic():
        transaction.on_commit(lambda: results.append(partial(tasks.double.enqueue, number=1)()))
        assert results == []
    assert finish(results[0]).return_value == 2


@pytest.mark.skipif(django.VERSION < (6, 1), reason="tasks can be pickled from Django 6.1 on")
def test_a_task_survives_a_pickle_with_its_options() -> None:

    task = tasks.double.using(queue_name="mail", retry=taskbridge.Retry(4, on=(ValueError,)))
    assert pickle.loads(pickle.dumps(task)) == task
