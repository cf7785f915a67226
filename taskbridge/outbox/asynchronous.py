"""The caller's connection on an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from taskbridge.outbox import on_django
from taskbridge.outbox.kind import class_names, kind_of
from taskbridge.outbox.on_dbapi import no_word_of_commits
from taskbridge.outbox.row import refuse_missing_table
from taskbridge.outbox.transaction import on
from taskbridge.store.dialect import POSTGRESQL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge.outbox.transaction import Transaction

T = TypeVar("T")


async def run_on(connection: Any, work: Callable[[Transaction], T], /) -> T:
    """What `work` returns, given the caller's transaction, on the thread or greenlet that the connection belongs to.

    Raises:
        As `on`, and as `work`.
    """
    if on_django.is_meant(connection):
        from asgiref.sync import sync_to_async

        # The one thread in which all of a coroutine's queries run: its connection is the caller's.
        inside: T = await sync_to_async(lambda: work(on(connection)), thread_sensitive=True)()
        return inside
    names = class_names(connection)
    if kind_of(connection) == "sqlalchemy" and names & {"AsyncSession", "AsyncConnection", "async_scoped_session"}:
        result: T = await connection.run_sync(lambda sync: work(on(sync)))
        return result
    if kind_of(connection) == "psycopg" and "AsyncConnection" in names:
        return await _run_recorded(connection, work)
    return work(on(connection))


async def _run_recorded(connection: Any, work: Callable[[Transaction], T]) -> T:
    recorder = _Recorder(connection)
    result = work(recorder)
    try:
        for statement, parameters in recorder.statements:
            await connection.execute(statement, parameters)
    except Exception as error:
        refuse_missing_table(error, "taskbridge_outbox")
        raise
    return result


class _Recorder:
    """Notes the statements that are then awaited; an outbox row asks nothing of the database."""

    dialect = POSTGRESQL
    is_open = True

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements: list[tuple[str, Sequence[object]]] = []

    def execute(self, statement: str, parameters: Sequence[object], /) -> int:
        self.statements.append((self.dialect.sql(statement), parameters))
        return 0

    def after_commit(self, callback: Callable[[], None], /) -> None:  # noqa: ARG002 - there is nobody to give it to
        raise no_word_of_commits(self._connection)
