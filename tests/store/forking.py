"""A program that forks while another of its threads holds the lock of a SQLite file, and writes in the child."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.store import forks, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

HELD_SECONDS = 0.5

held, go_on, forked = threading.Event(), threading.Event(), threading.Event()


def wait(*_: object) -> None:
    held.set()
    go_on.wait(30)


def store(path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """How a thread holds the file, and how the child writes to it."""
    database = sqlite.sqlite_database(path)
    database.run(lambda cursor: cursor.execute("CREATE TABLE t (a)"))
    return lambda: database.in_transaction(wait), lambda: database.run(
        lambda cursor: cursor.execute("INSERT INTO t VALUES (1)")
    )


def huey(path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    from taskbridge.message import Message
    from taskbridge.settings import parse_url
    from taskbridge_huey import HueyBackend

    backend = HueyBackend(parse_url(f"huey+sqlite:///{path}"))
    backend.enqueue([Message("1", "parent", [], {})])

    def hold() -> None:
        with backend.instance("default").storage.db(commit=True):
            wait()
        forked.wait(30)  # Huey's connection closes with the thread, for which no fork waits

    return hold, lambda: backend.enqueue([Message("2", "child", [], {})])


def django(path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.conformance.django_settings"
    os.environ["TEST_DATABASE"] = f"sqlite:///{path}"
    from django import setup
    from django.db import connection, transaction

    setup()
    from taskbridge_django_tasks.patches import forget_connections_after_fork
    from taskbridge_django_tasks.store import DjangoDatabase

    forget_connections_after_fork()
    connection.cursor().execute("CREATE TABLE t (a)")
    database = DjangoDatabase("default")
    database._is_ready = True

    def hold() -> None:
        def write(cursor: object) -> None:
            with transaction.atomic():
                wait()

        database.run(write)
        forked.wait(30)  # no fork waits for Django to close a connection
        connection.close()

    return hold, lambda: database.run(lambda cursor: cursor.execute("INSERT INTO t VALUES (1)"))


def main(kind: str, path: str, planted: str = "") -> None:
    if planted:
        # A fork that waits for nobody, and a child that soon says that the file is locked.
        setattr(forks, "PATIENCE_SECONDS", 0)  # noqa: B010 - the fault is not for the type checker
        setattr(sqlite, "BUSY_TIMEOUT", 0.2)  # noqa: B010 - as above
    hold, write = globals()[kind](Path(path))
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    threading.Timer(HELD_SECONDS, go_on.set).start()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            write()
            code = 0
        finally:
            os._exit(code)
    forked.set()
    thread.join()
    write()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
