"""What `timing` may be, where it is said, and what is refused."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import taskbridge
from taskbridge.cli.main import main
from taskbridge.decorator import task
from taskbridge.errors import ConfigurationError, InvalidTask, UnsupportedFeature
from taskbridge.outbox.databases import open_outbox, shown
from taskbridge.router import router
from taskbridge.settings.sources import from_environment
from tests.outbox.connections import plain
from tests.outbox.tasks import note, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def settings_as_they_were() -> Iterator[None]:
    yield
    router.configure(None)


def test_a_job_goes_to_the_broker_now_unless_something_is_said() -> None:
    taskbridge.configure("memory://")
    assert note.enqueue("a").timing == "now"
    assert [handle.timing for handle in note.enqueue_many([("b",), ("c",)])] == ["now", "now"]
    assert note.get_result("some id").timing is None


def test_a_call_wins_over_its_task_and_a_task_over_the_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/application.db"
    taskbridge.configure("memory://?timing=outbox", outbox=[url])
    open_outbox(url).create()
    with plain(url) as connection:
        own = note.using(connection=connection)
        assert own.enqueue("by the URL").timing == "outbox"
        declared = own.using(timing="now")
        assert declared.enqueue("by the task").timing == "now"
        assert declared.using(timing="outbox").enqueue("by the call").timing == "outbox"
        connection.rollback()


def test_impossible_values_are_refused_where_they_are_written() -> None:
    with pytest.raises(InvalidTask, match="now, on_commit, outbox"):
        note.using(timing="later")
    with pytest.raises(InvalidTask, match="ordering_key"):
        note.using(ordering_key="")
    with pytest.raises(InvalidTask, match="ordering_key"):
        task(ordering_key="two\nlines")(note.function)
    taskbridge.configure("memory://?timing=later")
    with pytest.raises(ConfigurationError, match="now, on_commit, outbox"):
        note.enqueue("never")


def test_an_outbox_that_nobody_relays_is_refused() -> None:
    taskbridge.configure("memory://?timing=outbox")
    with pytest.raises(ConfigurationError, match="TASKBRIDGE_OUTBOX"):
        note.enqueue("never")


def test_an_order_is_refused_where_nobody_keeps_it() -> None:
    taskbridge.configure("memory://")
    with pytest.raises(UnsupportedFeature, match="timing='outbox'"):
        note.using(ordering_key="one").enqueue("never")


def test_the_environment_names_outboxes_and_nothing_shows_their_passwords() -> None:
    settings = from_environment({"TASKBRIDGE_OUTBOX": "postgresql://shop:secret@host/shop,sqlite:///./app.db"})
    assert settings.outbox == ("postgresql://shop:secret@host/shop", "sqlite:///./app.db")
    assert "secret" not in repr(settings)
    assert shown(settings.outbox[0]) == "postgresql://host/shop"


@pytest.mark.parametrize("url", ["redis://host", "sqlite://", "sqlite:///folder/", "mysql://host/shop"])
def test_a_url_of_no_such_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_outbox(url)


def test_the_command_creates_shows_and_relays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/application.db"
    taskbridge.configure(f"huey+sqlite:///{tmp_path}/queue.db?timing=outbox", outbox=[url])
    assert "taskbridge outbox create" in run("status", code=2)
    run("create")
    assert run("status") == f"{url}: nothing waits\n"
    with plain(url) as connection:
        told.using(connection=connection).enqueue_many([("a",), ("b",)])
        connection.commit()
    (status,) = json.loads(run("status", "--json"))["outboxes"]
    (backend,) = status["backends"]
    assert (backend["backend"], backend["waiting"], backend["dead"]) == ("default", 2, 0)
    assert backend["oldest_seconds"] >= 0
    with closing(open_outbox(url)) as table:
        table.give_up(table.waiting(1)[0], ValueError("too\x1b[31m large"))
    assert "\\x1b" in run("status", code=1)
    run("relay")
    assert "1 were given up" in run("status", code=1)
    assert run("retry", "--every") == "1 wait again.\n"
    run("relay")
    assert run("status") == f"{url}: nothing waits\n"
    run("retry", "--every", code=1)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_printed_statements_make_what_create_makes(dialect: str, request: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/app.db" if dialect == "sqlite" else request.getfixturevalue("postgres_url")
    with plain(url) as connection:
        for statement in run("sql", dialect).splitlines():
            connection.cursor().execute(statement)
        connection.commit()
    table = open_outbox(url)
    assert table.exists()
    table.create()
    assert table.counts() == []
    table.close()


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["outbox", *arguments])
    assert result.exit_code == code, result.output
    return result.output
