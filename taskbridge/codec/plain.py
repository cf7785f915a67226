"""Values without an annotation: only what JSON keeps exactly."""

from __future__ import annotations

import enum
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from taskbridge.codec.exact import is_record, plain_run
from taskbridge.codec.limits import Lossy, check_depth, check_float, check_int, check_str


def copy_plain(value: Any, depth: int = 0) -> Any:
    """A copy of `value`, so that a later change by the caller does not reach a message that waits for a commit.

    Raises `Lossy` for whatever JSON would change.
    """
    kind = type(value)
    if kind is str:
        check_str(value)
        return value
    if value is None or kind is bool:
        return value
    if kind is int:
        check_int(value)
        return value
    if kind is float:
        check_float(value)
        return value
    check_depth(depth)
    if kind is list:
        return list(value) if plain_run(value) else _copy_items(value, depth)
    if kind is dict:
        return _copy_entries(value, depth)
    raise Lossy(f"JSON does not keep a value of type {kind.__qualname__} as it is", fix=_fix_for(value))


def _copy_items(values: list[Any], depth: int) -> list[Any]:
    copied: list[Any] = []
    for value in values:
        try:
            copied.append(copy_plain(value, depth + 1))
        except Lossy as loss:
            raise loss.inside(f"[{len(copied)}]") from None
    return copied


def _copy_entries(entries: dict[Any, Any], depth: int) -> dict[str, Any]:
    copied: dict[str, Any] = {}
    for key, value in entries.items():
        if type(key) is not str:
            raise Lossy(
                f"JSON turns a key of type {type(key).__qualname__} into a str",
                fix=f"annotate it as dict[{type(key).__qualname__}, ...]",
            )
        try:
            check_str(key)
            copied[key] = copy_plain(value, depth + 1)
        except Lossy as loss:
            raise loss.inside(f"[{key!r}]") from None
    return copied


def _fix_for(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__
    if kind in (tuple, set, frozenset):
        return f"annotate it as {name}[...], or send a list"
    if isinstance(value, enum.Enum):
        return f"annotate it as {name}, or send its .value"
    if hasattr(kind, "_meta") and hasattr(value, "pk"):
        return "send its .pk and load the row in the task"
    if isinstance(value, _CARRIED) or is_record(kind):
        return f"annotate it as {name}"
    return "send plain values from which the task can make it"


_CARRIED = (bytes, bytearray, date, time, timedelta, Decimal, UUID)
