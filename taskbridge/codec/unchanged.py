"""Whether a value is its own plain JSON form: what a worker that knows nothing of annotations would be given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


def is_unchanged(sent: Any, plain: Any, /) -> bool:
    """True if `plain`, the encoded form of `sent`, is the same value of the same type, all the way down.

    An int that was sent as the equal float is the same.
    """
    if type(sent) is not type(plain):
        return type(sent) is int and type(plain) is float and sent == plain
    if isinstance(sent, list):
        return len(sent) == len(plain) and all(map(is_unchanged, sent, plain))
    if isinstance(sent, dict):
        return sent.keys() == plain.keys() and all(is_unchanged(sent[key], plain[key]) for key in sent)
    return bool(sent == plain)


def is_carried(value: Any, types: AbstractSet[type], /) -> bool:
    """True if it consists of JSON's own types and these."""
    if isinstance(value, list):
        return type(value) is list and all(is_carried(item, types) for item in value)
    if isinstance(value, tuple | set | frozenset):
        return type(value) in types and all(is_carried(item, types) for item in value)
    if isinstance(value, dict):
        return type(value) is dict and all(type(key) is str and is_carried(value[key], types) for key in value)
    return value is None or type(value) in (bool, int, float, str) or type(value) in types
