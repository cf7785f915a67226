"""`context.once(connection)`: the answer belongs to the caller's transaction."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from taskbridge import Context
from taskbridge.errors import ConfigurationError, NoTransaction
from taskbridge.outbox import open_outbox
from tests.outbox.connections import KINDS, path_of, plain

if TYPE_CHECKING:
    from taskbridge.outbox import OutboxTable

pytestmark = pytest.mark.usefixtures("outbox")


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


def context(job_id: str, task: str = "charge") -> Context:
    return Context(id=job_id, task=task, queue_name="default", attempt=1, deadline=None)


def test_the_first_time_is_the_first_that_is_committed(kind: Any, database_url: str) -> None:
    with kind(database_url) as connection:
        assert context("one").once(connection)
        assert not context("one").once(connection)
        connection.rollback()
        assert context("one").once(connection)
        connection.commit()
        assert not context("one").once(connection)
        assert context("other").once(connection)


def test_a_key_is_one_among_the_jobs_of_its_task(kind: Any, database_url: str) -> None:
    with kind(database_url) as connection:
        assert context("one").once(connection, key="order 7")
        assert not context("two").once(connection, key="order 7")
        assert context("two").once(connection, key="order 8")
        assert context("two", task="refund").once(connection, key="order 7")
        assert context("one").once(connection), "the key is not the job"


def test_of_two_that_run_at_one_time_the_second_waits_for_the_word_of_the_first(postgres_url: str) -> None:
    with closing(open_outbox(postgres_url)) as table:
        table.create()
    answers: list[bool] = []
    with plain(postgres_url) as first, plain(postgres_url) as second:
        assert context("raced").once(first)
        waits = threading.Thread(target=lambda: answers.append(context("raced").once(second)))
        waits.start()
        waits.join(timeout=0.3)
        assert waits.is_alive(), "answered before anybody could know"
        first.rollback()
        waits.join(timeout=30)
        assert answers == [True]


def test_outside_of_a_transaction_it_is_refused(database_url: str) -> None:
    opened: Any
    if database_url.startswith("sqlite"):
        opened = sqlite3.connect(path_of(database_url), isolation_level=None)
    else:
        opened = psycopg.connect(database_url, autocommit=True)
    with closing(opened) as connection:
        with pytest.raises(NoTransaction, match="BEGIN"):
            context("one").once(connection)
        connection.execute("BEGIN")
        assert context("one").once(connection)
        connection.execute("ROLLBACK")


def test_a_database_without_an_inbox_is_refused_with_the_command(tmp_path: Any) -> None:
    with plain(f"sqlite:///{tmp_path}/empty.db") as connection:
        with pytest.raises(ConfigurationError, match="taskbridge outbox create"):
            context("one").once(connection)
        with pytest.raises(ConfigurationError, match="No connection"):
            context("one").once()


def test_what_is_older_than_it_is_remembered_is_forgotten(database_url: str, outbox: OutboxTable) -> None:
    with plain(database_url) as connection:
        context("old").once(connection)
        connection.cursor().execute("UPDATE taskbridge_inbox SET written_at = 0")
        context("new").once(connection)
        connection.commit()
        outbox.sweep()
        assert not context("new").once(connection)
        assert context("old").once(connection)
