"""What no JSON carries exactly, whatever the annotation: found in the value itself."""

from __future__ import annotations

import math
from datetime import datetime, time

MAX_DEPTH = 100
"""Containers within containers. JSON readers recurse, and a worker reads with less stack left than the sender had."""

MAX_INT_BITS = 14_000
"""Python refuses to read a JSON number of more than 4300 digits (`sys.set_int_max_str_digits`)."""


class Lossy(Exception):
    """A value that would not arrive as it was sent. `path` says where in the argument, like `[3].price`."""

    def __init__(self, reason: str, *, fix: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix
        self.path = ""

    def inside(self, step: str) -> Lossy:
        """Note that the value lies one step deeper in what holds it."""
        self.path = step + self.path
        return self


def check_int(value: int) -> None:
    if value.bit_length() > MAX_INT_BITS:
        raise Lossy("an int of more than 4,300 digits cannot be read back from JSON", fix="send it as a str or bytes")


def check_float(value: float) -> None:
    if not math.isfinite(value):
        raise Lossy(f"JSON has no {value}", fix="send None or a Decimal instead")


def check_str(value: str) -> None:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Lossy(
                "a str with lone surrogates cannot be written as UTF-8", fix="send bytes (os.fsencode for a file name)"
            ) from None


def check_zone(value: datetime | time) -> None:
    """A datetime arrives with its local time and its offset; the zone's name and rules stay behind."""
    offset = value.utcoffset()
    if offset is not None and (offset.seconds % 60 or offset.microseconds):
        raise Lossy(f"an offset of {offset} has seconds, which RFC 3339 cannot write", fix="send it in UTC")
    if offset is None:
        if isinstance(value, datetime):
            raise Lossy(
                "a naive datetime names no instant", fix="make it aware, for example with datetime.now(timezone.utc)"
            )
        if value.tzinfo is not None:
            raise Lossy(f"a time in {value.tzinfo} has no fixed offset", fix="send an aware datetime")


def check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Lossy(f"it is nested more than {MAX_DEPTH} deep, or contains itself")
