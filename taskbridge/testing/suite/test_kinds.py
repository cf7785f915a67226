"""Values of many kinds, in both directions, by the annotations of the task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.errors import InvalidArguments
from taskbridge.testing.suite import kinds
from taskbridge.testing.suite.behaviour import behaviour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour()
def test_annotated_values_arrive_in_their_types(stage: Stage) -> Iterator[None]:
    key = stage.key()
    kinds.carries.enqueue(key, kinds.EVERYTHING)
    yield
    assert stage.wait(key, "end")[0].data["value"] == repr(kinds.EVERYTHING)


@behaviour()
def test_annotations_of_variable_arguments_count_too(stage: Stage) -> Iterator[None]:
    key = stage.key()
    more, named = (Decimal("0.10"), Decimal(2)), {"ü": timedelta(days=1)}
    kinds.carries.enqueue(key, kinds.EVERYTHING, *more, kind=kinds.Colour.RED, **named)
    yield
    data = stage.wait(key, "end")[0].data
    assert (data["more"], data["kind"], data["named"]) == (repr(more), repr(kinds.Colour.RED), repr(named))


@behaviour("result")
def test_a_result_of_many_kinds_arrives_in_its_types(stage: Stage) -> Iterator[None]:
    handle = kinds.gives_everything.enqueue()
    yield
    stage.finish(handle)
    assert repr(handle.return_value) == repr(kinds.EVERYTHING)


@behaviour("result")
def test_a_coroutine_gives_a_typed_result(stage: Stage) -> Iterator[None]:
    when = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    handle = kinds.gives_from_loop.enqueue(when)
    yield
    stage.finish(handle)
    assert handle.return_value == (when, kinds.Colour.RED)


@behaviour("result")
def test_a_result_without_annotations_arrives_as_json_keeps_it(stage: Stage) -> Iterator[None]:
    value = {"a": ['🙂 \x00 "', None, True, 2**53 + 1, -0.5], "": {}, "long": "x" * 100_000}
    handle = kinds.gives_back.enqueue(value)
    yield
    stage.finish(handle)
    assert handle.return_value == value


@pytest.mark.parametrize(
    "wrong",
    [
        {"moment": datetime(2026, 1, 1)},  # noqa: DTZ001 - what is refused
        {"pair": (1, 2)},
        {"colour": "purple"},
        {"numbers": {"three"}},
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_its_annotation_is_refused(stage: Stage, wrong: dict[str, Any]) -> None:
    from dataclasses import replace

    with pytest.raises(InvalidArguments, match="value"):
        kinds.carries.enqueue(stage.key(), replace(kinds.EVERYTHING, **wrong))
