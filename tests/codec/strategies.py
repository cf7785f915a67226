"""Annotations with values that fit them, and values of any kind."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from types import GenericAlias
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
from hypothesis import strategies as st


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(str, enum.Enum):  # noqa: UP042 - applications have both spellings
    SMALL = "small"
    LARGE = "large"


class Rank(enum.IntEnum):
    FIRST = 1
    SECOND = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    label: str = "origin"


@dataclasses.dataclass
class Line:
    price: Decimal
    due: dt.datetime | None = None
    points: tuple[Point, ...] = ()


@dataclasses.dataclass(frozen=True)
class Note:
    text: str


class Tree(msgspec.Struct):
    value: bytes
    branches: list[Tree] = []


@attrs.define
class Parcel:
    weight: float
    colour: Colour = Colour.RED


class Row(TypedDict, total=False):
    at: dt.date
    took: dt.timedelta


class Person(pydantic.BaseModel):
    born: dt.date
    wealth: Decimal = Decimal("0.00")
    friends: list[Person] = []


OrderId = NewType("OrderId", int)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
floats = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals() | st.sampled_from([Decimal("-0.00"), Decimal("1E+5"), Decimal("-NaN12"), Decimal("-Infinity")])
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
fixed = st.datetimes(timezones=offsets | st.just(dt.UTC))
zoned = st.datetimes(
    min_value=dt.datetime(1975, 1, 1),  # noqa: DTZ001 - a bound for local times
    max_value=dt.datetime(2035, 1, 1),  # noqa: DTZ001 - a bound for local times
    timezones=st.sampled_from([ZoneInfo("Europe/Amsterdam"), ZoneInfo("Australia/Lord_Howe")]),
)
folded = zoned.map(lambda when: when.replace(fold=1))

leaves: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers() | st.integers(-(2**200), 2**200),
    bool: st.booleans(),
    float: floats | st.sampled_from([-0.0, 5e-324, 1e16, 1.7976931348623157e308]) | st.integers(-(2**53), 2**53),
    str: text,
    bytes: st.binary(max_size=8),
    Decimal: decimals,
    UUID: st.uuids(),
    dt.datetime: fixed | zoned | folded,
    dt.date: st.dates(),
    dt.time: st.times(timezones=st.none() | offsets).map(lambda when: when.replace(fold=0)),
    dt.timedelta: st.timedeltas(),
    Colour: st.sampled_from(Colour),
    Size: st.sampled_from(Size),
    Rank: st.sampled_from(Rank),
    Rights: st.sampled_from([Rights.READ, Rights.WRITE, Rights.READ | Rights.WRITE]),
    Literal[1, "one", None]: st.sampled_from([1, "one", None]),
    Point: st.builds(Point, st.integers(), text),
    Line: st.builds(
        Line, decimals, st.none() | fixed, st.lists(st.builds(Point, st.integers(), text), max_size=2).map(tuple)
    ),
    Note: st.builds(Note, text),
    Tree: st.recursive(
        st.builds(Tree, st.binary(max_size=4)),
        lambda trees: st.builds(Tree, st.binary(max_size=4), st.lists(trees, max_size=2)),
        max_leaves=4,
    ),
    Parcel: st.builds(Parcel, floats, st.sampled_from(Colour)),
    Row: st.fixed_dictionaries({}, optional={"at": st.dates(), "took": st.timedeltas()}),
    Person: st.builds(Person, born=st.dates(), friends=st.lists(st.builds(Person, born=st.dates()), max_size=2)),
    OrderId: st.integers(),
    Annotated[int, "in cents"]: st.integers(),
    Annotated[int, msgspec.Meta(ge=0)]: st.integers(0),
}
keys: dict[Any, st.SearchStrategy[Any]] = {
    kind: leaves[kind] for kind in (str, UUID, dt.date, dt.datetime, dt.timedelta, bytes, Colour, Rank)
} | {int: st.integers(-(2**63), 2**64 - 1), float: floats}
members: dict[Any, st.SearchStrategy[Any]] = {
    kind: leaves[kind] for kind in (int, str, bytes, UUID, dt.datetime, dt.date, dt.timedelta, Colour, Point, Note)
}


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda one: (GenericAlias(list, one[0]), st.lists(one[1], max_size=3))),
        inner.map(lambda one: (GenericAlias(tuple, (one[0], ...)), st.lists(one[1], max_size=3).map(tuple))),
        inner.map(lambda one: (one[0] | None, st.none() | one[1])),
        st.tuples(inner, inner).map(
            lambda two: (GenericAlias(tuple, (two[0][0], two[1][0])), st.tuples(two[0][1], two[1][1]))
        ),
        st.tuples(st.sampled_from(list(keys.items())), inner).map(
            lambda two: (GenericAlias(dict, (two[0][0], two[1][0])), st.dictionaries(two[0][1], two[1][1], max_size=3))
        ),
    )


_sets = st.sampled_from(list(members.items())).flatmap(
    lambda one: st.sampled_from(
        [
            (GenericAlias(set, one[0]), st.sets(one[1], max_size=3)),
            (GenericAlias(frozenset, one[0]), st.frozensets(one[1], max_size=3)),
        ]
    )
)
declared: st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]] = st.recursive(
    st.sampled_from(list(leaves.items())) | _sets, _containers, max_leaves=4
)
"""An annotation, and a strategy for values that fit it."""

typed: st.SearchStrategy[tuple[Any, Any]] = declared.flatmap(lambda one: st.tuples(st.just(one[0]), one[1]))
"""An annotation, and a value that fits it."""

plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
"""What JSON keeps exactly."""

unions: st.SearchStrategy[Any] = st.lists(
    st.sampled_from(
        [str, bytes, int, float, Decimal, UUID, dt.datetime, dt.date, Line, Note, Tree, Colour, Size, Person]
    )
    | st.sampled_from([list[int], tuple[int, ...], set[str], dict[str, int], dict[int, str], None, Any, bool, Point]),
    min_size=2,
    max_size=4,
    unique_by=str,
)
"""Members of a union, whether or not JSON can tell them apart."""


class Text(str):
    __slots__ = ()


surrogates = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2)
odd: st.SearchStrategy[Any] = st.one_of(
    surrogates,
    st.floats(),
    st.datetimes(),
    text.map(Text),
    st.just(object()),
    st.complex_numbers(),
    st.dictionaries(st.integers() | text, st.integers(), max_size=2),
    st.binary(max_size=4).map(bytearray),
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(odd, *leaves.values()),
    lambda inner: st.lists(inner, max_size=2) | st.tuples(inner) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
"""A value of any kind."""

seconds = st.integers(-86399, 86399).map(lambda offset: dt.timezone(dt.timedelta(seconds=offset)))
_near: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (float, st.floats() | st.integers()),
    (int, st.booleans() | st.sampled_from(Rank) | st.integers()),
    (str, surrogates | text.map(Text) | st.sampled_from(Size) | text),
    (bytes, st.binary(max_size=4).map(bytearray) | st.binary(max_size=4)),
    (dt.datetime, st.datetimes(timezones=st.none() | seconds)),
    (dt.date, st.datetimes() | st.dates()),
    (dt.time, st.times(timezones=st.none() | seconds)),
    (
        dict[str, int],
        st.dictionaries(text | surrogates | st.integers(0, 9) | text.map(Text), st.integers(), max_size=3),
    ),
    (list[float], st.lists(st.floats() | st.integers() | st.booleans(), max_size=3)),
    (list[str], st.lists(text | surrogates, max_size=3)),
    (set[int], st.frozensets(st.integers()) | st.sets(st.booleans() | st.integers(), max_size=2)),
    (Any, odd),
]
near: st.SearchStrategy[tuple[Any, Any]] = st.recursive(st.sampled_from(_near), _containers, max_leaves=3).flatmap(
    lambda one: st.tuples(st.just(one[0]), one[1])
)
"""An annotation, and a value that nearly fits it."""
