"""Values without an annotation: only what JSON keeps exactly."""

from __future__ import annotations

import enum
from typing import Any

from taskbridge.codec.exact import Lossy, check_depth, check_float, check_int, check_str, plain_run


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
    raise Lossy(f"JSON does not keep a {kind.__qualname__} as it is", fix=f"annotate it as {_annotation_for(value)}")


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
                fix=f"annotate it as dict[{_annotation_for(key)}, ...]",
            )
        try:
            check_str(key)
            copied[key] = copy_plain(value, depth + 1)
        except Lossy as loss:
            raise loss.inside(f"[{key!r}]") from None
    return copied


def _annotation_for(value: object) -> str:
    kind = type(value)
    if kind is tuple:
        return "tuple[...], or send a list"
    if kind is set or kind is frozenset:
        return f"{kind.__name__}[...], or send a list"
    if isinstance(value, enum.Enum):
        return f"{kind.__qualname__}, or send its .value"
    if hasattr(kind, "_meta") and hasattr(value, "pk"):
        return "its key (send .pk) and load the row in the task"
    return f"{kind.__qualname__} where it has one of the types that TaskBridge carries, or send its parts"
