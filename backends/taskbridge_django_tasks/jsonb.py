"""What PostgreSQL's jsonb does to a JSON value: it keeps numbers as decimals, sorts keys, and knows no NUL."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any


class Fidelity(IntEnum):
    """What becomes of a value on its way through a column, from best to worst."""

    EXACT = 0
    REORDERED = 1
    """The keys of a dict come back in another order."""
    CHANGED = 2
    """A float comes back as an int, or a zero without its sign."""
    IMPOSSIBLE = 3
    """The column does not take it."""


def through_jsonb(value: Any, /) -> Fidelity:
    """What becomes of a plain JSON value that is written to jsonb and read with Python's `json`."""
    kind = type(value)
    if kind is str:
        return Fidelity.IMPOSSIBLE if "\0" in value else Fidelity.EXACT
    if kind is float:
        is_changed = (value.is_integer() and "e" in repr(value)) or (value == 0 and math.copysign(1, value) < 0)
        return Fidelity.CHANGED if is_changed else Fidelity.EXACT
    if kind is list:
        return max(map(through_jsonb, value), default=Fidelity.EXACT)
    if kind is dict:
        keys = list(value)
        order = Fidelity.EXACT if keys == sorted(keys, key=_jsonb_order) else Fidelity.REORDERED
        return max(order, *map(through_jsonb, keys), *map(through_jsonb, value.values())) if keys else Fidelity.EXACT
    return Fidelity.EXACT


def through_text(_value: Any, /) -> Fidelity:
    """The same for a column that holds JSON as the text it was written in, as SQLite's does."""
    return Fidelity.EXACT


def _jsonb_order(key: str) -> tuple[int, bytes]:
    written = key.encode()
    return len(written), written
