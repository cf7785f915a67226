"""Every kind of connection that an application may have, on a database of its own."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import sqlalchemy
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Kind(Protocol):
    """Gives a connection for a block, which ends neither in a commit nor in an error."""

    def __call__(self, url: str, /) -> contextlib.AbstractContextManager[Any]: ...


def path_of(url: str) -> str:
    return url.removeprefix("sqlite:///")


@contextlib.contextmanager
def plain(url: str) -> Iterator[Any]:
    """A connection of sqlite3 or psycopg."""
    opened: Any = sqlite3.connect(path_of(url)) if url.startswith("sqlite") else psycopg.connect(url)
    with contextlib.closing(opened) as connection:
        yield connection


@contextlib.contextmanager
def session(url: str) -> Iterator[Any]:
    """A session of SQLAlchemy."""
    with _engine(url) as engine, Session(engine) as opened:
        yield opened


@contextlib.contextmanager
def connection(url: str) -> Iterator[Any]:
    """A connection of SQLAlchemy."""
    with _engine(url) as engine, engine.connect() as opened:
        yield opened


KINDS: dict[str, Callable[[str], contextlib.AbstractContextManager[Any]]] = {
    "plain": plain,
    "session": session,
    "connection": connection,
}


@contextlib.contextmanager
def _engine(url: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    if url.startswith("sqlite"):
        _let_savepoints_work(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def _let_savepoints_work(engine: sqlalchemy.Engine) -> None:
    # As SQLAlchemy's documentation of pysqlite has it: the driver begins no transaction by itself.
    @sqlalchemy.event.listens_for(engine, "connect")
    def connected(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None

    @sqlalchemy.event.listens_for(engine, "begin")
    def begun(opened: sqlalchemy.Connection) -> None:
        opened.exec_driver_sql("BEGIN")
