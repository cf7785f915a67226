"""Whether two values are the same, judged without the code under test."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pydantic


def same(sent: Any, arrived: Any) -> bool:
    """Equal and of one type all the way down; an int may have become the equal float."""
    if type(sent) is int and type(arrived) is float:
        return Decimal(sent) == Decimal(arrived)
    if type(sent) is not type(arrived):
        return False
    if isinstance(sent, dt.datetime):
        return sent.tzinfo is not None and same(sent.isoformat(), arrived.isoformat())
    if isinstance(sent, dt.time):
        return same([sent.isoformat(), sent.fold], [arrived.isoformat(), arrived.fold])
    if isinstance(sent, float | Decimal):
        return repr(sent) == repr(arrived)
    if isinstance(sent, list | tuple):
        return len(sent) == len(arrived) and all(map(same, sent, arrived))
    if isinstance(sent, set | frozenset):
        return len(sent) == len(arrived) and all(any(same(one, other) for other in arrived) for one in sent)
    parts = _parts(sent)
    return bool(sent == arrived) if parts is None else same(parts, _parts(arrived))


def _parts(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, msgspec.Struct):
        return list(msgspec.structs.asdict(value).items())
    if dataclasses.is_dataclass(value):
        return list(vars(value).items())
    if attrs.has(type(value)):
        return list(attrs.asdict(value, recurse=False).items())
    return list(value) if isinstance(value, pydantic.BaseModel) else None


def through_json(wire: Any) -> Any:
    """What an engine's JSON makes of it; every part must be a plain JSON value already."""
    _assert_plain(wire)
    written = json.dumps(wire, allow_nan=False)
    written.encode()
    return json.loads(written)


def _assert_plain(wire: Any) -> None:
    assert type(wire) in (type(None), bool, int, float, str, list, dict), f"{type(wire)} on the wire"
    if type(wire) is list:
        for item in wire:
            _assert_plain(item)
    elif type(wire) is dict:
        for key, value in wire.items():
            assert type(key) is str
            _assert_plain(value)
