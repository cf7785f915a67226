"""`aenqueue` and `aonce` under each timing, on connections that are awaited and on those that are not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from taskbridge import Context
from taskbridge.errors import ConfigurationError, NoTransaction, UnsupportedFeature
from tests.outbox.connections import plain
from tests.outbox.tasks import note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from taskbridge.outbox import OutboxTable
    from taskbridge.services import Server
    from taskbridge.testing import MemoryBackend

pytestmark = pytest.mark.usefixtures("memory", "outbox")


def context(job_id: str) -> Context:
    return Context(id=job_id, task="note", queue_name="default", attempt=1, deadline=None)


def run(url: str, work: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}[url.partition(":")[0]]
        engine = create_async_engine(f"{driver}:{url.partition(':')[2]}")
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(main())


@pytest.mark.parametrize("kind", [AsyncSession, AsyncConnection])
def test_a_row_is_written_on_what_must_be_awaited(kind: type[Any], database_url: str, outbox: OutboxTable) -> None:
    async def work(engine: AsyncEngine) -> None:
        opened = AsyncSession(engine) if kind is AsyncSession else engine.connect()
        async with opened as connection:
            own = note.using(connection=connection)
            assert (await own.aenqueue("gone")).timing == "outbox"
            await connection.rollback()
            await own.aenqueue("kept")
            await connection.commit()
            with pytest.raises(ConfigurationError, match="aenqueue"):
                own.enqueue("never")

    run(database_url, work)
    (row,) = outbox.waiting(10)
    assert "kept" in row.message


def test_on_commit_of_an_asynchronous_session(database_url: str, memory: MemoryBackend) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            own = note.using(connection=session, timing="on_commit")
            await own.aenqueue("gone")
            await session.rollback()
            assert (await own.aenqueue("kept")).timing == "on_commit"
            assert memory.jobs == []
            await session.commit()

    run(database_url, work)
    assert [job.args for job in memory.jobs] == [["kept"]]


def test_an_effect_happens_once_on_an_asynchronous_session(database_url: str) -> None:
    async def work(engine: AsyncEngine) -> list[bool]:
        async with AsyncSession(engine) as session:
            first = await context("one").aonce(session)
            await session.rollback()
            again = await context("one").aonce(session)
            await session.commit()
            return [first, again, await context("one").aonce(session), await context("other").aonce(session)]

    assert run(database_url, work) == [True, True, False, True]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_psycopg_may_be_awaited(outbox: OutboxTable, database_url: str) -> None:
    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            own = note.using(connection=connection)
            await own.aenqueue("gone")
            await connection.rollback()
            await own.aenqueue("kept")
            assert await context("one of psycopg").aonce(connection)
            await connection.commit()
            assert not await context("one of psycopg").aonce(connection)
            await connection.commit()
            with pytest.raises(ConfigurationError, match="aenqueue"):
                own.enqueue("never")
            with pytest.raises(UnsupportedFeature, match="tells nobody"):
                await own.using(timing="on_commit").aenqueue("never")
            await connection.set_autocommit(True)
            with pytest.raises(NoTransaction):
                await context("two of psycopg").aonce(connection)

    asyncio.run(main())
    (row,) = outbox.waiting(10)
    assert "kept" in row.message


def test_a_missing_table_is_refused_with_the_command_that_creates_it(postgres_server: Server) -> None:
    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_server.fresh_url()) as connection:
            with pytest.raises(ConfigurationError, match="taskbridge outbox create"):
                await note.using(connection=connection).aenqueue("nowhere")

    asyncio.run(main())


def test_a_coroutine_may_use_a_connection_that_is_not_awaited(database_url: str, outbox: OutboxTable) -> None:
    async def main(connection: Any) -> None:
        await note.using(connection=connection).aenqueue("kept")
        connection.commit()

    with plain(database_url) as connection:
        asyncio.run(main(connection))
    assert len(outbox.waiting(10)) == 1


def test_now_is_now_in_a_coroutine(memory: MemoryBackend) -> None:
    handle = asyncio.run(now())
    assert handle.timing == "now"
    assert len(memory.jobs) == 1


async def now() -> Any:
    return await note.using(timing="now").aenqueue("at once")


def test_the_event_loop_goes_on_while_a_commit_enqueues(database_url: str, memory: MemoryBackend) -> None:
    threads: list[Any] = []
    enqueue = memory.enqueue

    def noting(messages: Any) -> None:
        try:
            threads.append(asyncio.get_running_loop())
        except RuntimeError:
            threads.append(None)
        enqueue(messages)

    memory.enqueue = noting  # type: ignore[method-assign]  # it only looks where it is called

    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            await session.execute(sqlalchemy.text("SELECT 1"))
            await note.using(connection=session, timing="on_commit").aenqueue("kept")
            await session.commit()

    run(database_url, work)
    assert threads == [None]
