"""An application whose jobs run in real workers and write to its database, and into a ledger each time they run."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from typing import Any

import psycopg

from taskbridge import Context, task


@contextlib.contextmanager
def database(url: str) -> Any:
    """A connection to a database of the application."""
    path = url.removeprefix("sqlite:///")
    opened: Any = sqlite3.connect(path, timeout=30) if url.startswith("sqlite") else psycopg.connect(url)
    with contextlib.closing(opened) as connection:
        yield connection


def write(*words: str) -> None:
    """One line of the ledger, in one write."""
    ledger = os.open(os.environ["SHOP_LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(ledger, (" ".join(words) + "\n").encode())
    os.close(ledger)


@task(takes_context=True, result=True)
def book(context: Context, url: str, name: str) -> None:
    """Its effect happens once, however often it runs."""
    with database(url) as connection:
        if context.once(connection):
            connection.execute(f"INSERT INTO bookings VALUES ('{name}')")
        connection.commit()
    write(context.id, name)


@task(takes_context=True)
def book_and_die(context: Context, url: str, name: str) -> None:
    """Its worker is killed in its first run, before or after the commit, as the name says."""
    with database(url) as connection:
        is_first = context.once(connection)
        if is_first:
            connection.execute(f"INSERT INTO bookings VALUES ('{name}')")
        if name.startswith("before"):
            die_once(name)
        connection.commit()
        if name.startswith("after"):
            die_once(name)
    write(name, "first" if is_first else "repeated")


def die_once(name: str) -> None:
    """SIGKILL for this process, but only the first time."""
    path = f"{os.environ['SHOP_LEDGER']}.{name}"
    if not os.path.exists(path):  # noqa: PTH110 - nothing fancy between here and the kill
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        write(name, "dies")
        os.kill(os.getpid(), signal.SIGKILL)
