"""What `taskbridge check` sees of the database of django-tasks-db."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, connections

from taskbridge.check.finding import error, note, unreachable, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.check.finding import Finding


def database_findings(using: str, rows: Any, /) -> Iterator[Finding]:
    """Reachability, the table, and whether a commit is on the disk."""
    connection = connections[using]
    about = f"DATABASES[{using!r}]"
    try:
        connection.ensure_connection()
        tables = connection.introspection.table_names()
    except (DatabaseError, InterfaceError) as problem:
        yield unreachable(about, str(problem).strip())
        return
    table = rows._meta.db_table  # noqa: SLF001 - Django documents it as public, underscore and all
    if table not in tables:
        yield error(
            about,
            f"the table {table} is missing",
            consequence="Nothing can be enqueued.",
            remedy="Run manage.py migrate.",
        )
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        yield error(
            about,
            "it is in memory",
            consequence="No worker sees the jobs, and they end with this process.",
            remedy="Name a file.",
        )
    if connection.vendor == "postgresql":
        if not connection.settings_dict["OPTIONS"].get("connect_timeout"):
            yield note(
                about,
                "it has no connect_timeout",
                consequence="Where the server's machine is gone, enqueuing waits as long as the system does: minutes.",
                remedy=f"Set DATABASES[{using!r}]['OPTIONS']['connect_timeout'], in seconds.",
            )
        yield from _durability(about, connection)


def _durability(about: str, connection: Any) -> Iterator[Finding]:
    losses = {
        "fsync": "A crash of the machine may damage the whole database.",
        "synchronous_commit": "A crash of the server loses the jobs of the last moments, whose enqueue had returned.",
        "full_page_writes": "A crash of the machine may damage the whole database.",
    }
    with connection.cursor() as cursor:
        for name, consequence in losses.items():
            cursor.execute(f"SHOW {name}")
            if cursor.fetchone()[0] == "off":
                yield warning(about, f"{name} is off", consequence=consequence, remedy=f"Set {name} = on.")
