"""A job belongs to the transaction of the caller, whatever the caller's connection is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.errors import ConfigurationError, UnsupportedFeature
from taskbridge.outbox import open_outbox
from tests.outbox.connections import KINDS, plain, session
from tests.outbox.tasks import note

if TYPE_CHECKING:
    from taskbridge.outbox import OutboxTable, Relay
    from taskbridge.testing import MemoryBackend

pytestmark = pytest.mark.usefixtures("memory", "outbox")


def words(outbox: OutboxTable) -> list[str]:
    """What the jobs in the outbox were given."""
    return [row.message.partition('"args":["')[2].partition('"')[0] for row in outbox.waiting(100)]


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


def test_a_commit_leaves_the_job_in_the_outbox(kind: Any, database_url: str, outbox: OutboxTable) -> None:
    with kind(database_url) as connection:
        handle = note.using(connection=connection).enqueue("kept")
        if not database_url.startswith("sqlite"):
            assert words(outbox) == [], "seen before the commit"
        connection.commit()
    assert handle.timing == "outbox"
    assert words(outbox) == ["kept"]
    assert outbox.waiting(1)[0].id == handle.id


def test_a_rollback_leaves_no_job(kind: Any, database_url: str, outbox: OutboxTable) -> None:
    with kind(database_url) as connection:
        note.using(connection=connection).enqueue("gone")
        connection.rollback()
        note.using(connection=connection).enqueue_many([("kept",), ("too",)])
        connection.commit()
    assert words(outbox) == ["kept", "too"]


@pytest.mark.parametrize("kind", ["session", "connection"], indirect=True)
def test_a_savepoint_that_is_rolled_back_takes_its_jobs_along(
    kind: Any, database_url: str, outbox: OutboxTable
) -> None:
    with kind(database_url) as connection:
        own = note.using(connection=connection)
        own.enqueue("outer")
        savepoint = connection.begin_nested()
        own.enqueue("inner")
        savepoint.rollback()
        with connection.begin_nested():
            own.enqueue("released")
        connection.commit()
    assert words(outbox) == ["outer", "released"]


def test_the_relay_hands_on_what_was_committed(
    database_url: str, relay: Relay, outbox: OutboxTable, memory: MemoryBackend
) -> None:
    with plain(database_url) as connection:
        handle = note.using(connection=connection, priority=7, metadata={"by": "me"}).enqueue("kept")
        relay.beat()
        assert memory.jobs == [], "started before the commit"
        connection.commit()
    relay.beat()
    (job,) = memory.jobs
    assert (job.id, job.args, job.priority) == (handle.id, ["kept"], 7)
    assert job.headers is not None
    assert job.headers.metadata == {"by": "me"}
    assert outbox.counts() == []


def test_on_commit_enqueues_after_the_commit_of_a_session(database_url: str, memory: MemoryBackend) -> None:
    with session(database_url) as opened:
        handle = note.using(timing="on_commit", connection=opened).enqueue("kept")
        assert handle.timing == "on_commit"
        assert memory.jobs == []
        opened.commit()
        assert [job.id for job in memory.jobs] == [handle.id]
        opened.commit()
    assert len(memory.jobs) == 1


def test_on_commit_forgets_what_was_rolled_back(database_url: str, memory: MemoryBackend) -> None:
    with session(database_url) as opened:
        own = note.using(timing="on_commit", connection=opened)
        own.enqueue("gone")
        opened.rollback()
        own.enqueue("outer")
        savepoint = opened.begin_nested()
        own.enqueue("inner")
        with opened.begin_nested():
            own.enqueue("innermost, released into what is rolled back")
        savepoint.rollback()
        with opened.begin_nested():
            own.enqueue("released")
        assert memory.jobs == []
        opened.commit()
    assert [job.args for job in memory.jobs] == [["outer"], ["released"]]


@pytest.mark.parametrize("kind", ["plain", "connection"], indirect=True)
def test_on_commit_is_refused_where_nobody_tells_of_a_commit(kind: Any, database_url: str) -> None:
    with kind(database_url) as connection, pytest.raises(UnsupportedFeature, match=r"timing='outbox'"):
        note.using(timing="on_commit", connection=connection).enqueue("never")


@pytest.mark.parametrize("kind", ["plain"], indirect=True)
def test_now_asks_no_connection(kind: Any, database_url: str, memory: MemoryBackend) -> None:
    with kind(database_url) as connection:
        assert note.using(timing="now", connection=connection).enqueue("at once").timing == "now"
    assert len(memory.jobs) == 1


def test_a_missing_table_is_refused_with_the_command_that_creates_it(tmp_path: Any, database_url: str) -> None:
    empty = f"sqlite:///{tmp_path}/empty.db"
    with plain(empty) as connection, pytest.raises(ConfigurationError, match="taskbridge outbox create"):
        note.using(connection=connection).enqueue("nowhere")
    table = open_outbox(empty)
    assert not table.exists()
    table.create()
    table.create()
    with plain(empty) as connection:
        note.using(connection=connection).enqueue("somewhere")
        connection.commit()
    assert words(table) == ["somewhere"]
    table.close()


def test_an_unknown_connection_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SQLAlchemy Session or Connection"):
        note.using(connection=object()).enqueue("nowhere")
    with pytest.raises(ConfigurationError, match="No connection is given"):
        note.enqueue("nowhere")
