"""One annotation, compiled: how its values become plain JSON values and come back."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Union
from uuid import UUID

from msgspec import convert, to_builtins

from taskbridge.codec import exact, limits
from taskbridge.codec.limits import Lossy
from taskbridge.codec.plain import copy_plain
from taskbridge.codec.shape import UnionShape, dec_hook, enc_hook, has_tuples, has_union_shape, shape_of
from taskbridge.codec.signature import UNANNOTATED

Convert = Callable[[Any], Any]


class Carrier:
    """`encode` and `decode` raise `Lossy`, msgspec's errors, or whatever a class of the application raises."""

    __slots__ = ("annotation", "decode", "encode")

    def __init__(self, annotation: Any, encode: Convert, decode: Convert) -> None:
        self.annotation = annotation
        self.encode = encode
        self.decode = decode


def carrier_for(annotation: Any) -> Carrier:
    """Raises TypeError, saying why, for an annotation whose values cannot be carried."""
    shape = Any if annotation is UNANNOTATED else shape_of(annotation)
    if shape is Any:
        return Carrier(annotation, copy_plain, _as_it_is)
    if shape in _PLAIN_CONTAINERS:
        kind = typing.get_origin(shape) or shape
        return Carrier(annotation, _plain_container(kind), _decoder(shape))
    if typing.get_origin(shape) in (Union, types.UnionType):
        inner = [member for member in typing.get_args(shape) if member is not type(None)]
        if len(inner) == 1 and isinstance(inner[0], type) and inner[0] in _SCALARS:
            encode, decode = _SCALARS[inner[0]]
            return Carrier(annotation, _optional(encode), _optional(decode))
    if isinstance(shape, type) and shape in _SCALARS:
        return Carrier(annotation, *_SCALARS[shape])
    return Carrier(annotation, _proving_encoder(shape), _decoder(shape))


def _as_it_is(value: Any) -> Any:
    return value


def _decoder(shape: Any) -> Convert:
    if isinstance(shape, type) and issubclass(shape, UnionShape):
        return shape.decode

    def decode(wire: Any) -> Any:
        return convert(wire, shape, str_keys=True, dec_hook=dec_hook)

    return decode


def _proving_encoder(shape: Any) -> Convert:
    """Encode, then decode at once and compare: what cannot arrive as it was sent is never sent."""
    decode = _decoder(shape)
    tuples = has_tuples(shape)
    ambiguous = has_union_shape(shape)

    def encode(value: Any) -> Any:
        wire = to_builtins(value, str_keys=True, enc_hook=enc_hook)
        if tuples:
            wire = _listed(wire)
        try:
            exact.check(value, decode(wire))
        except Lossy as loss:
            if ambiguous:
                loss.fix = "annotate it with types that JSON can tell apart, or send a msgspec.Struct with a tag"
            raise
        return wire

    return encode


def _listed(wire: Any) -> Any:
    """msgspec leaves tuples as tuples; JSON has lists."""
    if isinstance(wire, dict):
        return {key: _listed(value) for key, value in wire.items()}
    if isinstance(wire, list | tuple):
        return [_listed(value) for value in wire]
    return wire


def _plain_container(kind: type) -> Convert:
    def encode(value: Any) -> Any:
        if type(value) is not kind:
            raise _unexpected(kind, value)
        return copy_plain(value)

    return encode


def _optional(inner: Convert) -> Convert:
    def convert_unless_none(value: Any) -> Any:
        return None if value is None else inner(value)

    return convert_unless_none


def _unexpected(kind: type, value: Any) -> Lossy:
    return Lossy(f"expected {kind.__qualname__}, got {type(value).__qualname__}")


def _encode_int(value: Any) -> Any:
    if type(value) is not int:
        raise _unexpected(int, value)
    limits.check_int(value)
    return value


def _encode_str(value: Any) -> Any:
    if type(value) is not str:
        raise _unexpected(str, value)
    limits.check_str(value)
    return value


def _encode_float(value: Any) -> Any:
    if type(value) is int:
        try:
            widened = float(value)
        except OverflowError:
            widened = 0.0
        if widened != value:
            raise Lossy("this int has no equal float", fix="annotate it as int")
        return widened
    if type(value) is not float:
        raise _unexpected(float, value)
    limits.check_float(value)
    return value


def _encode_datetime(value: Any) -> Any:
    if type(value) is not datetime:
        raise _unexpected(datetime, value)
    limits.check_zone(value)
    return to_builtins(value)


def _written(kind: type, write: Convert) -> Convert:
    def encode(value: Any) -> Any:
        if type(value) is not kind:
            raise _unexpected(kind, value)
        return write(value)

    return encode


def _kept(kind: type) -> Convert:
    def decode(wire: Any) -> Any:
        return wire if type(wire) is kind else convert(wire, kind)

    return decode


# Exact by their type alone, so that the proof can be skipped: the arguments of most calls.
_SCALARS: dict[Any, tuple[Convert, Convert]] = {
    int: (_encode_int, _kept(int)),
    str: (_encode_str, _kept(str)),
    float: (_encode_float, _kept(float)),
    bool: (_written(bool, _as_it_is), _kept(bool)),
    datetime: (_encode_datetime, _decoder(datetime)),
    date: (_written(date, date.isoformat), _decoder(date)),
    Decimal: (_written(Decimal, str), _decoder(Decimal)),
    UUID: (_written(UUID, str), _decoder(UUID)),
    bytes: (_written(bytes, to_builtins), _decoder(bytes)),
}

_PLAIN_CONTAINERS = (list, list[Any], dict, dict[str, Any])
