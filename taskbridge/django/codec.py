"""Arguments and results as Django promises them: by annotation where there is one, else as its own backends do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from taskbridge.codec import Codec
from taskbridge.codec.carrier import carrier_for
from taskbridge.codec.signature import UNANNOTATED
from taskbridge.errors import InvalidArguments, InvalidTask, UnserialisableResult

if TYPE_CHECKING:
    from taskbridge.codec.carrier import Carrier


class DjangoCodec(Codec):
    """Django reads no annotation, and sends a tuple as a list and bytes as text: what our codec refuses is tried so."""

    __slots__ = ()

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], /) -> tuple[list[Any], dict[str, Any]]:
        try:
            return super().encode(args, kwargs)
        except InvalidArguments:
            try:
                return super().encode(tuple(map(normalised, args)), normalised(kwargs))
            except (InvalidArguments, RecursionError):
                pass
            raise

    def encode_result(self, value: Any, /) -> Any:
        try:
            return super().encode_result(value)
        except UnserialisableResult:
            try:
                return super().encode_result(normalised(value))
            except (UnserialisableResult, RecursionError):
                pass
            raise

    def _carrier(self, subject: str, annotation: Any) -> Carrier:
        try:
            return super()._carrier(subject, annotation)
        except InvalidTask:
            return carrier_for(UNANNOTATED)


def normalised(value: Any, /) -> Any:
    """The value in types of JSON; what has no form there stays, to be refused."""
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value
        case Mapping():
            return {normalised(key): normalised(each) for key, each in value.items()}
        case Sequence() if not isinstance(value, bytearray | memoryview):
            return [normalised(each) for each in value]
        case _:
            return value
