"""What kind of connection a caller gave, known by the names of its classes: no library is imported for that."""

from __future__ import annotations

from functools import cache
from typing import Any


def kind_of(connection: object, /) -> str:
    """The library that the class of this connection, or of what it is derived from, comes from; else an empty text."""
    cls: Any = type(connection)
    return _library(cls)


def class_names(connection: object, /) -> frozenset[str]:
    """The names of the object's class and of those that it is derived from."""
    cls: Any = type(connection)
    return _names(cls)


@cache
def _library(kind: type) -> str:
    for base in kind.__mro__:
        library = base.__module__.partition(".")[0].lstrip("_")
        if library in ("django", "psycopg", "sqlalchemy", "sqlite3"):
            return library
    return ""


@cache
def _names(kind: type) -> frozenset[str]:
    return frozenset(base.__name__ for base in kind.__mro__)
