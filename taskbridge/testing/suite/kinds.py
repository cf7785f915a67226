"""Values of many kinds, and the tasks that carry them there and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, TypedDict
from uuid import UUID

import msgspec

from taskbridge import task
from taskbridge.testing.suite.ledger import write


class Colour(Enum):
    """An enum."""

    RED = "red"


class Size(IntEnum):
    """An enum of numbers."""

    LARGE = 3


@dataclass(frozen=True)
class Address:
    """A dataclass."""

    street: str
    since: date


class Line(msgspec.Struct, frozen=True):
    """A struct."""

    amount: Decimal
    address: Address | None = None


class Options(TypedDict, total=False):
    """A typed dict."""

    when: datetime
    label: str


@dataclass(frozen=True)
class Everything:
    """All of them, nested."""

    moment: datetime
    day: date
    clock: time
    span: timedelta
    amount: Decimal
    unit: UUID
    raw: bytes
    pair: tuple[int, str]
    row: tuple[Decimal, ...]
    names: frozenset[str]
    numbers: set[int]
    colour: Colour
    size: Size
    line: Line
    lines: list[Line]
    options: Options
    by_day: dict[str, list[Address]]
    maybe: date | None
    either: int | str


EVERYTHING = Everything(
    moment=datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    day=date(2024, 2, 29),
    clock=time(23, 59, 59, 999999),
    span=timedelta(days=-1, microseconds=1),
    amount=Decimal("0.10"),
    unit=UUID(int=7),
    raw=bytes(range(256)),
    pair=(1, "ü"),
    row=(Decimal("1.0"), Decimal("1.00")),
    names=frozenset({"ä"}),
    numbers={3, 1, 2},
    colour=Colour.RED,
    size=Size.LARGE,
    line=Line(Decimal("1e2"), Address("x", date(1, 1, 1))),
    lines=[Line(Decimal("-0"))],
    options={"when": datetime(2026, 1, 1, tzinfo=UTC), "label": ""},
    by_day={"ö": [Address("y", date(9999, 12, 31))], "": []},
    maybe=None,
    either="7",
)


@task
def carries(key: str, value: Everything, *more: Decimal, kind: Colour = Colour.RED, **named: timedelta) -> None:
    """Write down what arrived, and of which types."""
    write("end", key, value=repr(value), more=repr(more), kind=repr(kind), named=repr(named))


@task(result=True)
def gives_everything() -> Everything:
    """Return a value of many kinds."""
    return EVERYTHING


@task(result=True)
async def gives_from_loop(when: datetime) -> tuple[datetime, Colour | None]:
    """Return a value from an event loop."""
    return when, Colour.RED


@task(result=True)
def gives_back(value: Any) -> Any:
    """Return what was sent, without annotations."""
    return value
