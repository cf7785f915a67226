"""Which changes of a signature harm the messages that are on their way."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import pytest

from taskbridge.codec import Codec
from taskbridge.options import TaskOptions
from taskbridge.signatures.comparison import compare
from taskbridge.signatures.description import Signature, signature_of
from taskbridge.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Fewer(enum.Enum):
    RED = "red"


@dataclass
class Order:
    id: int


@dataclass
class OrderWithNote:
    id: int
    note: str = ""


@dataclass
class OrderThatNeeds:
    id: int
    note: str


@dataclass
class Tree:
    children: list[Tree]


def signature(function: Callable[..., Any]) -> Signature:
    return signature_of(Task(function, TaskOptions(name="t"), Codec(function, name="t"), "tests.t"))


def of_type(annotation: Any) -> Signature:
    def takes(value: Any) -> None: ...

    takes.__annotations__ = {"value": annotation} if annotation is not None else {}
    return signature(takes)


def verdicts(old: Signature, new: Signature) -> list[bool]:
    changes = compare({"t": old}, {"t": new})
    assert all(bool(change.remedy) is not change.is_compatible for change in changes)
    return [change.is_compatible for change in changes]


def base(order_id: int, note: str = "") -> None: ...
def same(order_id: int, note: str = "other") -> None: ...
def added(order_id: int, note: str = "", copies: int = 1) -> None: ...
def added_keyword(order_id: int, note: str = "", *, copies: int = 1) -> None: ...
def added_any(order_id: int, note: str = "", *rest: int, **named: int) -> None: ...
def with_default(order_id: int = 1, note: str = "") -> None: ...
def removed(order_id: int) -> None: ...
def renamed(order: int, note: str = "") -> None: ...
def wants(order_id: int, note: str = "", *, copies: int) -> None: ...
def first(copies: int = 1, order_id: int = 1, note: str = "") -> None: ...
def swapped(note: str = "", order_id: int = 1) -> None: ...
def no_default(order_id: int, note: str) -> None: ...
def keyword_only(order_id: int, *, note: str = "") -> None: ...
def positional_only(order_id: int, note: str = "", /) -> None: ...


@pytest.mark.parametrize("new", [same, added, added_keyword, added_any, with_default])
def test_what_takes_every_old_call_is_compatible(new: Callable[..., Any]) -> None:
    assert all(verdicts(signature(base), signature(new)))


@pytest.mark.parametrize("new", [removed, renamed, wants, first, swapped, no_default, keyword_only, positional_only])
def test_what_refuses_some_old_call_is_not_and_says_what_to_do(new: Callable[..., Any]) -> None:
    assert not all(verdicts(signature(base), signature(new)))


def test_a_keyword_that_goes_where_any_is_taken_is_compatible() -> None:
    def takes_any(order_id: int, note: str = "", **named: int) -> None: ...

    assert all(verdicts(signature(added_keyword), signature(takes_any)))
    assert all(verdicts(signature(positional_only), signature(base)))


def test_a_task_that_is_gone_is_incompatible_and_a_new_one_is_not() -> None:
    old, new = signature(base), signature(base)
    gone, came = compare({"a": old}, {"b": new})
    assert (gone.task, gone.is_compatible, came.task, came.is_compatible) == ("a", False, "b", True)
    assert "Deploy workers before producers" in came.remedy
    assert compare({"a": old}, {"a": new}) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (int, float),
        (int, int | None),
        (int, int | str),
        (Literal["a"], Literal["a", "b"]),
        (Literal["a"], str),
        (Fewer, Color),
        (list[int], list[int | None]),
        (Order, OrderWithNote),
        (OrderThatNeeds, OrderWithNote),
        (dict[str, int], dict[str, float]),
        (tuple[int, int], tuple[int, float]),
        (str, None),
        (list[int], Any),
        (Tree, Tree),
    ],
)
def test_a_wider_type_is_compatible_and_the_narrower_one_is_not(old: Any, new: Any) -> None:
    assert all(verdicts(of_type(old), of_type(new)))
    if old is not new and new is not None and new is not Any and old is not OrderThatNeeds:
        assert verdicts(of_type(new), of_type(old)) == ([False] if old is not Order else [True])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (int, str),
        (datetime, str),
        (datetime, date),
        (datetime, None),
        (str, datetime),
        (Decimal, float),
        (bytes, str),
        (None, int),
        (Order, OrderThatNeeds),
        (list[int], set[int]),
        (list[int], list[str]),
        (datetime | str, str),
        (tuple[int, int], tuple[int, int, int]),
    ],
)
def test_another_type_is_incompatible(old: Any, new: Any) -> None:
    assert verdicts(of_type(old), of_type(new)) == [False]
