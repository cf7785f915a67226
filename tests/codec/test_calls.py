from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from taskbridge.codec import Codec
from taskbridge.errors import InvalidArguments, InvalidTask, UndecodableMessage


def order(number: int, /, customer: str, *amounts: int, rush: bool = False, **notes: str) -> None: ...


CODEC = Codec(order, name="shop.order")


def test_the_split_of_positional_and_keyword_arguments_is_kept() -> None:
    assert CODEC.encode((1, "ann"), {}) == ([1, "ann"], {})
    assert CODEC.encode((1,), {"customer": "ann"}) == ([1], {"customer": "ann"})
    assert CODEC.encode((1, "ann", 2, 3), {"rush": True, "memo": "x"}) == (
        [1, "ann", 2, 3],
        {"rush": True, "memo": "x"},
    )
    assert CODEC.decode([1, "ann", 2, 3], {"memo": "x"}) == ([1, "ann", 2, 3], {"memo": "x"})


def test_defaults_are_not_sent() -> None:
    assert CODEC.encode((1, "ann"), {})[1] == {}


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing 2 required positional arguments: 'number' and 'customer'"),
        ((1,), {}, "missing 1 required positional argument: 'customer'"),
        ((), {"number": 1, "customer": "x"}, "missing 1 required positional argument: 'number'"),
        ((1, "ann"), {"customer": "bob"}, "multiple values for argument 'customer'"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_in_pythons_words(
    args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArguments, match=rf"Cannot enqueue shop\.order: shop\.order\(\) .*{words}"):
        CODEC.encode(args, kwargs)
    with pytest.raises(UndecodableMessage, match=words):
        CODEC.decode(list(args), kwargs)


def test_too_many_and_unknown_arguments_are_refused() -> None:
    def narrow(one: int, /, two: int = 2) -> None: ...

    codec = Codec(narrow, name="shop.narrow")
    with pytest.raises(InvalidArguments, match="takes from 1 to 2 positional arguments but 3 were given"):
        codec.encode((1, 2, 3), {})
    with pytest.raises(InvalidArguments, match="unexpected keyword argument 'three'"):
        codec.encode((1,), {"three": 3})
    with pytest.raises(InvalidArguments, match="positional-only arguments passed as keyword arguments: 'one'"):
        codec.encode((), {"one": 1})


@pytest.mark.parametrize(
    ("args", "kwargs", "argument"),
    [
        (("1", "ann"), {}, "'number'"),
        ((1, b"ann"), {}, "'customer'"),
        ((1, "ann", 2, "3"), {}, r"'\*amounts\[1\]'"),
        ((1, "ann"), {"rush": 1}, "'rush'"),
        ((1, "ann"), {"memo": None}, "'memo'"),
    ],
)
def test_a_wrong_value_is_refused_with_the_argument_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], argument: str
) -> None:
    with pytest.raises(InvalidArguments, match=f"shop.order: argument {argument} would not arrive"):
        CODEC.encode(args, kwargs)
    if not any(isinstance(value, bytes) for value in args):
        with pytest.raises(UndecodableMessage, match=f"shop.order cannot be read: argument {argument} does not fit"):
            CODEC.decode(list(args), kwargs)


def test_a_keyword_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InvalidArguments, match="lone surrogates"):
        CODEC.encode((1, "ann"), {"\ud800": "x"})


def test_the_context_is_no_part_of_the_call() -> None:
    def with_context(context: Unimportable, number: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - like a name under TYPE_CHECKING

    codec = Codec(with_context, name="shop.with_context", takes_context=True)
    assert codec.encode((), {"number": 1}) == ([], {"number": 1})
    with pytest.raises(InvalidArguments):
        codec.encode((object(), 1), {})


def test_a_context_without_a_place_is_refused() -> None:
    def no_place(*, number: int) -> None: ...

    with pytest.raises(InvalidTask, match=r"shop\.no_place takes the context"):
        Codec(no_place, name="shop.no_place", takes_context=True).compile()


def later(when: DefinedBelow) -> None: ...


DefinedBelow = dt.date


def test_annotations_are_resolved_when_the_codec_is_first_used() -> None:
    assert Codec(later, name="shop.later").encode((dt.date(2030, 1, 2),), {}) == (["2030-01-02"], {})


def test_an_annotation_that_names_nothing_is_refused_with_the_parameter_named() -> None:
    def broken(good: int, bad: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point of the test

    with pytest.raises(InvalidTask, match=r"shop\.broken: parameter 'bad' is annotated as Nowhere.*not defined"):
        Codec(broken, name="shop.broken").compile()


def test_an_annotation_that_cannot_be_carried_is_refused_with_the_parameter_named() -> None:
    def broken(good: int, bad: dict[str, list[complex]]) -> None: ...

    with pytest.raises(
        InvalidTask, match=r"parameter 'bad' is annotated as .*complex is no type that TaskBridge carries"
    ):
        Codec(broken, name="shop.broken").compile()


def test_a_result_that_cannot_be_carried_matters_only_where_results_are_kept() -> None:
    def broken() -> complex: ...  # type: ignore[empty-body]  # never called

    codec = Codec(broken, name="shop.broken")
    codec.compile()
    with pytest.raises(InvalidTask, match="the result is annotated as complex"):
        codec.compile(result=True)
