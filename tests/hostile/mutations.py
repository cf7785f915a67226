"""Damage done to a recorded message, to its bytes and to the values in its JSON; a seed repeats it."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEEP: Any = None
for _ in range(300):
    DEEP = [DEEP]

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, 2**70, -0.5, 1e308, float("inf"), float("nan"), "", "0", "null", "\x00", "\ud800",
    "é" * 500, "../../etc/passwd", "os.system", "%s%n{0}", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59", [], {},
    [[]], {"": {}}, {"__proto__": 1}, ["a"] * 100, {"id": None}, DEEP, "[" * 2000, '{"version":9}',
)  # fmt: skip
TOKENS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"null",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"1e999",
    b"\n",
    b"-",
)


def damaged(originals: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """So many damaged copies of the originals."""
    chance = random.Random(seed)
    for number in range(count):
        data = originals[number % len(originals)]
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            data = chance.choice(_KINDS)(data, chance)
        yield data


def _flip(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return b"\x00"
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start + chance.randrange(1, 40) :]


def _end_early(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    piece = data[start : start + chance.randrange(1, 60)]
    return data[:start] + piece * chance.randrange(2, 5) + data[start:]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(TOKENS) + data[at:]


def _change_value(data: bytes, chance: random.Random) -> bytes:
    """One value somewhere in the JSON becomes another, also inside a string that holds JSON itself."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _flip(data, chance)
    return json.dumps(_changed(value, chance)).encode()


def _changed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "[") and chance.random() < 0.8:
        try:
            return json.dumps(_changed(json.loads(value), chance))
        except (ValueError, RecursionError):
            return chance.choice(VALUES)
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        changed = dict(value)
        match chance.randrange(8):
            case 0:
                del changed[key]
            case 1:
                changed[chance.choice(("", "self", "__class__", "x" * 300, key + "\x00"))] = changed.pop(key)
            case _:
                changed[key] = _changed(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], _changed(value[at], chance), *value[at + 1 :]]
    return chance.choice(VALUES)


_KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _cut, _end_early, _repeat, _insert, *[_change_value] * 5,
)  # fmt: skip
