from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from types import GenericAlias
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest

from taskbridge.codec import Codec
from taskbridge.errors import InvalidArguments, InvalidTask, UndecodableMessage, UnserialisableResult
from tests.codec.oracle import through_json
from tests.codec.strategies import Colour, Line, Note, Person, Rank, Tree


def untyped(value): ...  # type: ignore[no-untyped-def]  # the point of it


def codec_of(annotation: Any) -> Codec:
    def task(value: Any) -> Any: ...

    task.__annotations__ = {"value": annotation, "return": annotation}
    return Codec(task, name="shop.task")


def endless_list() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


class Row:
    """Looks like a model of an ORM."""

    _meta = None
    pk = 7


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((1, 2), r"of type tuple.*To fix: annotate it as tuple\[\.\.\.\], or send a list"),
        ({1, 2}, r"annotate it as set\[\.\.\.\]"),
        (frozenset(), r"annotate it as frozenset\[\.\.\.\]"),
        ({1: "x"}, r"a key of type int into a str.*annotate it as dict\[int, \.\.\.\]"),
        (float("nan"), "JSON has no nan"),
        ([1.0, float("-inf")], r"at \[1\].*JSON has no -inf"),
        (b"x", "annotate it as bytes"),
        (dt.datetime.now(dt.UTC), "annotate it as datetime"),
        (Rank.FIRST, "annotate it as Rank, or send its .value"),
        ({"a": [{"b": Colour.RED}]}, r"at \['a'\]\[0\]\['b'\]"),
        (Row(), r"send its \.pk"),
        ("\ud800", "lone surrogates"),
        (["\udcff", "x"], r"at \[0\].*lone surrogates"),
        ({"\ud800": 1}, "lone surrogates"),
        pytest.param(10**5000, "4,300 digits", id="huge int"),
        ([1, 10**5000], r"at \[1\].*4,300 digits"),
        (endless_list(), "contains itself"),
        (nested(200), "nested more than 100 deep"),
        (object(), "type object.*send plain values"),
        (Note("x"), "annotate it as Note"),
        (Person(born=dt.date(2000, 1, 1)), "annotate it as Person"),
    ],
)
def test_without_an_annotation_only_what_json_keeps_may_pass(value: Any, words: str) -> None:
    with pytest.raises(InvalidArguments, match=rf"shop\.untyped: argument 'value'.*{words}"):
        Codec(untyped, name="shop.untyped").encode((value,), {})


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (int, "3", "expected int, got str"),
        (int, True, "expected int, got bool"),
        (int, Rank.FIRST, "expected int, got Rank"),
        (int, 3.0, "expected int, got float"),
        (list[int], [1, True], "Expected `int`, got `bool`"),
        pytest.param(int, 10**5000, "4,300 digits", id="huge int"),
        (float, 2**53 + 1, "no equal float"),
        (float, 10**400, "no equal float"),
        (float, float("inf"), "JSON has no inf"),
        (dt.datetime, dt.datetime(2030, 1, 1), "naive.*make it aware"),  # noqa: DTZ001 - the point of the case
        (list[dt.datetime], [dt.datetime(2030, 1, 1)], "naive.*make it aware"),  # noqa: DTZ001 - the point of the case
        (dt.datetime, dt.datetime(1890, 1, 1, tzinfo=ZoneInfo("Europe/Amsterdam")), "seconds.*send it in UTC"),
        (dt.time, dt.time(1, 2, tzinfo=ZoneInfo("Europe/Amsterdam")), "no fixed offset"),
        (dt.time, dt.time(1, 2, fold=1), "fold"),
        (dt.date, dt.datetime.now(dt.UTC), "expected date, got datetime"),
        (UUID, "f8b1c6a4-6f2c-4a57-9a55-5a1f6d3c2b10", "expected UUID, got str"),
        (list[Any], [(1,)], "of type tuple"),
        (tuple[int, ...], [1], "a list would arrive as tuple.*send a tuple"),
        (Sequence[int], (1,), "send a list"),
        (Iterable[int], (number for number in range(3)), "generator"),
        (Tree, Tree(value=b"", branches=[Tree(b""), "x"]), "branches"),  # type: ignore[list-item]  # the point of the case
        (Line, Note("x"), "would not arrive"),
        (Literal["a", "b"], "c", "would not arrive"),
        (dt.datetime | str, "2030-01-01T00:00:00Z", r"a str would arrive as datetime.*JSON can tell apart"),
        (bytes | str, "aaaa", "a str would arrive as bytes"),
        (list[int] | tuple[int, ...], (1,), "a tuple would arrive as list"),
        (dict[str, dt.datetime | str], {"a": "2030-01-01T00:00:00Z"}, r"at \['a'\].*datetime"),
    ],
)
def test_a_value_that_would_arrive_changed_is_refused(annotation: Any, value: Any, words: str) -> None:
    with pytest.raises(InvalidArguments, match=words):
        codec_of(annotation).encode((value,), {})


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (dt.datetime | str, "tomorrow"),
        (dt.datetime | str, dt.datetime(2030, 1, 1, tzinfo=dt.UTC)),
        (str | dt.datetime, dt.datetime(2030, 1, 1, tzinfo=dt.UTC)),
        (dict[str, dt.date | str | int | None], {"a": dt.date(2030, 1, 1), "b": "x", "c": 3, "d": None}),
        (int | Decimal, Decimal(5)),
        (int | Decimal, 5),
        (Line | Note, Note("x")),
        (Line | Note, Line(Decimal(1))),
        (list[Line | Note | str], [Note("x"), "y", Line(Decimal("1.0"))]),
        (Person | str, Person(born=dt.date(2000, 1, 1))),
        (Sequence[int], [1, 2]),
        (Iterable[dt.datetime | str], ["x"]),
        (Mapping[UUID, int], {UUID(int=5): 1}),
        (Set[int], {1}),
        (int, 2**70),
        (dict[int, int], {2**70: 1}),
        (list[int], [2**70, -(2**2000)]),
    ],
)
def test_a_value_that_arrives_unchanged_passes_whatever_else_the_annotation_allows(annotation: Any, value: Any) -> None:
    codec = codec_of(annotation)
    arrived = codec.decode(through_json(codec.encode((value,), {})[0]), {})[0][0]
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = ...` came with Python 3.12")
def test_a_type_alias_is_what_it_stands_for() -> None:
    module: dict[str, Any] = {"dt": dt}
    exec("type Alias = dt.datetime | str", module)
    assert codec_of(GenericAlias(list, module["Alias"])).encode((["tomorrow"],), {}) == ([["tomorrow"]], {})


def test_an_ambiguous_local_time_keeps_its_instant() -> None:
    second = dt.datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Amsterdam"))
    codec = codec_of(dt.datetime)
    arrived = codec.decode(codec.encode((second,), {})[0], {})[0][0]
    assert arrived.isoformat() == "2025-10-26T02:30:00+01:00"
    assert arrived.timestamp() == second.timestamp()
    members = codec_of(set[dt.datetime])
    assert {when.isoformat() for when in members.decode(members.encode(({second},), {})[0], {})[0][0]} == {
        "2025-10-26T02:30:00+01:00"
    }


def test_an_int_for_a_float_arrives_as_the_equal_float() -> None:
    codec = codec_of(float)
    assert codec.encode((3,), {}) == ([3.0], {})
    assert type(codec.decode([3], {})[0][0]) is float
    assert type(codec_of(list[float]).decode(codec_of(list[float]).encode(([3],), {})[0], {})[0][0][0]) is float


def test_what_is_sent_does_not_change_with_the_callers_object() -> None:
    basket = {"items": [1]}
    wire = Codec(untyped, name="shop.untyped").encode((basket,), {})[0]
    basket["items"].append(2)
    assert wire == [{"items": [1]}]


class Mixed(enum.Enum):
    TEXT = "text"
    NUMBER = 1


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T]):
    inside: T


@attrs.define
class Hidden:
    _secret: int = 0


def test_a_field_that_would_be_lost_is_refused() -> None:
    with pytest.raises(InvalidArguments, match=r"at \._secret"):
        codec_of(Hidden).encode((Hidden(5),), {})


@dataclasses.dataclass
class Undecided:
    when: dt.datetime | str


@pytest.mark.parametrize(
    "annotation",
    [complex, Callable[[], None], type, Mixed, list[complex], complex | int, Box[complex], Undecided, Row, msgspec.Raw],
)
def test_a_type_that_cannot_be_carried_is_refused_before_the_first_call(annotation: Any) -> None:
    with pytest.raises(InvalidTask, match=r"Task shop\.task: parameter 'value' is annotated as"):
        codec_of(annotation).compile()


def test_a_row_of_an_orm_is_refused_with_the_key_as_remedy() -> None:
    with pytest.raises(InvalidTask, match="send the row's key"):
        codec_of(Row).compile()


def test_a_builtin_without_a_signature_is_refused() -> None:
    with pytest.raises(InvalidTask, match="no signature"):
        Codec(dict, name="shop.builtin").compile()


def test_a_refused_message_does_not_tell_its_values() -> None:
    with pytest.raises(UndecodableMessage) as refusal:
        codec_of(Colour).decode(["4111 1111 1111 1111"], {})
    assert "4111" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_result_that_would_change_is_refused_with_the_task_named() -> None:
    with pytest.raises(UnserialisableResult, match=r"The result of shop\.untyped cannot be kept.*of type tuple"):
        Codec(untyped, name="shop.untyped").encode_result((1, 2))
    with pytest.raises(UnserialisableResult, match=r"A kept result of shop\.task cannot be read"):
        codec_of(int).decode_result("x")


@dataclasses.dataclass
class Fussy:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise KeyError("negative")


def test_a_class_that_raises_while_it_is_rebuilt_makes_the_message_undecodable() -> None:
    with pytest.raises(UndecodableMessage, match="argument 'value' does not fit Fussy: KeyError"):
        codec_of(Fussy).decode([{"number": -1}], {})


def test_neither_pickle_nor_an_optional_library_is_imported() -> None:
    source = "import sys, taskbridge.codec; print([m for m in ('pickle', 'pydantic', 'attr') if m in sys.modules])"
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"
