"""Whether a value arrives as it was sent: equal, of the same type, all the way down."""

from __future__ import annotations

import dataclasses
import enum
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from taskbridge.codec.limits import MAX_INT_BITS, Lossy, check_depth, check_float, check_int, check_str, check_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def check(sent: Any, arrived: Any, depth: int = 0) -> None:
    """Raise `Lossy` unless `arrived` is `sent` in value and type.

    One widening is allowed: an int where a float is asked for arrives as the equal float (PEP 484's numeric tower).
    """
    kind = type(sent)
    if kind is not type(arrived):
        if kind is int and type(arrived) is float and sent == arrived:
            return
        raise Lossy(
            f"a {kind.__qualname__} would arrive as {type(arrived).__qualname__}",
            fix=f"send a {type(arrived).__qualname__}, or annotate it as {kind.__qualname__}",
        )
    checker = _CHECKERS.get(kind)
    if checker is None:
        checker = _CHECKERS[kind] = _checker(kind)
    checker(sent, arrived, depth)


def _datetime(sent: datetime, arrived: datetime, _: int) -> None:
    check_zone(sent)
    # Not `==`: between zones it is False for any local time whose fold matters, equal offset or not.
    if sent.replace(tzinfo=None, fold=0) != arrived.replace(tzinfo=None, fold=0):
        raise Lossy("the datetime would arrive changed")
    if sent.utcoffset() != arrived.utcoffset():
        raise Lossy("the datetime would arrive with another offset")


def _time(sent: time, arrived: time, _: int) -> None:
    check_zone(sent)
    if sent.fold:
        raise Lossy("a time with fold=1 would arrive with fold=0", fix="send an aware datetime")
    if sent.replace(tzinfo=None) != arrived.replace(tzinfo=None) or sent.utcoffset() != arrived.utcoffset():
        raise Lossy("the time would arrive changed")


def _decimal(sent: Decimal, arrived: Decimal, _: int) -> None:
    # Not `==`: 1.0 equals 1.00 and a NaN nothing.
    if str(sent) != str(arrived):
        raise Lossy("the Decimal would arrive changed")


def _same(sent: object, arrived: object, _: int) -> None:
    if sent is not arrived and sent != arrived:
        raise Lossy(f"the {type(sent).__qualname__} would arrive changed")


def _int(sent: int, arrived: int, depth: int) -> None:
    check_int(sent)
    _same(sent, arrived, depth)


def _float(sent: float, arrived: float, depth: int) -> None:
    check_float(sent)
    _same(sent, arrived, depth)
    if math.copysign(1.0, sent) != math.copysign(1.0, arrived):
        raise Lossy("the sign of a zero would be lost")


def _str(sent: str, arrived: str, depth: int) -> None:
    check_str(sent)
    _same(sent, arrived, depth)


def _sequence(sent: list[Any] | tuple[Any, ...], arrived: list[Any] | tuple[Any, ...], depth: int) -> None:
    check_depth(depth)
    if len(sent) != len(arrived):
        raise Lossy("items would be lost")
    if plain_run(sent) and sent == arrived and set(map(type, sent)) == set(map(type, arrived)):
        return
    for index, (one, other) in enumerate(zip(sent, arrived, strict=True)):
        try:
            check(one, other, depth + 1)
        except Lossy as loss:
            raise loss.inside(f"[{index}]") from None


def plain_run(values: Iterable[Any]) -> bool:
    """True for many values of one scalar type that all pass: found out without a Python call for each."""
    kinds = set(map(type, values))
    if len(kinds) != 1:
        return False
    kind = kinds.pop()
    if kind is int:
        return max(map(int.bit_length, values)) <= MAX_INT_BITS
    if kind is float:
        return all(map(math.isfinite, values))
    if kind is str:
        return all(map(str.isascii, values))
    return kind is bool or kind is type(None)


def _mapping(sent: dict[Any, Any], arrived: dict[Any, Any], depth: int) -> None:
    check_depth(depth)
    if len(sent) != len(arrived):
        raise Lossy("entries would be lost")
    for (key, value), (other_key, other) in zip(sent.items(), arrived.items(), strict=True):
        try:
            check(key, other_key, depth + 1)
        except Lossy as loss:
            raise loss.inside(" (a key)") from None
        try:
            check(value, other, depth + 1)
        except Lossy as loss:
            raise loss.inside(f"[{key!r}]") from None


def _set(sent: Any, arrived: Any, depth: int) -> None:
    check_depth(depth)
    if len(sent) != len(arrived):
        raise Lossy("members would be lost")
    by_value = {_identity(member): member for member in arrived}
    for member in sent:
        if _identity(member) not in by_value:
            raise Lossy(f"a member of the {type(sent).__qualname__} would arrive changed")
        check(member, by_value[_identity(member)], depth + 1)


def _identity(member: Any) -> Any:
    # A datetime whose fold matters equals none in another zone, so not the one that arrives.
    return member.isoformat() if type(member) is datetime else member


def is_record(kind: type) -> bool:
    """Whether instances have fields that their class declares."""
    return _field_names(kind) is not None or hasattr(kind, "__pydantic_validator__") or issubclass(kind, tuple)


def _field_names(kind: type) -> tuple[str, ...] | None:
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else tuple(attribute.name for attribute in attributes)


def _fields(names: tuple[str, ...]) -> Callable[[Any, Any, int], None]:
    def checker(sent: Any, arrived: Any, depth: int) -> None:
        check_depth(depth)
        for name in names:
            try:
                check(getattr(sent, name), getattr(arrived, name), depth + 1)
            except Lossy as loss:
                raise loss.inside(f".{name}") from None

    return checker


def _pydantic(sent: Any, arrived: Any, depth: int) -> None:
    check_depth(depth)
    for part in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
        check(getattr(sent, part), getattr(arrived, part), depth + 1)


def _checker(kind: type) -> Callable[[Any, Any, int], None]:
    """The comparison for a type that is met for the first time."""
    if issubclass(kind, enum.Enum):
        return _same
    names = _field_names(kind)
    if names is not None:
        return _fields(names)
    if hasattr(kind, "__pydantic_validator__"):
        return _pydantic
    for base, checker in ((tuple, _sequence), (list, _sequence), (dict, _mapping), (set, _set), (frozenset, _set)):
        if issubclass(kind, base):
            return checker
    return _same


_CHECKERS: dict[type, Callable[[Any, Any, int], None]] = {
    type(None): _same,
    bool: _same,
    int: _int,
    float: _float,
    str: _str,
    bytes: _same,
    bytearray: _same,
    date: _same,
    timedelta: _same,
    UUID: _same,
    datetime: _datetime,
    time: _time,
    Decimal: _decimal,
    list: _sequence,
    tuple: _sequence,
    dict: _mapping,
    set: _set,
    frozenset: _set,
}
