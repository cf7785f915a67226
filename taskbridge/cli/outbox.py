"""`taskbridge outbox`: the rows by which jobs wait in the application's own databases."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import msgspec

from taskbridge.cli import options
from taskbridge.cli.dead_text import printable
from taskbridge.cli.exits import FAILED, TIMED_OUT
from taskbridge.errors import ConfigurationError
from taskbridge.outbox import Relay, open_outbox
from taskbridge.outbox.databases import shown, urls
from taskbridge.router import router
from taskbridge.store import schema
from taskbridge.store.columns import moment
from taskbridge.store.dialect import POSTGRESQL, SQLITE
from taskbridge.worker import import_tasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.outbox import OutboxTable
    from taskbridge.outbox.table import Count

database = click.option(
    "--database", metavar="URL", help="One database. Default: those of the setting `outbox`; under Django its own."
)
_DEAD_SHOWN = 100


@click.group("outbox")
def command() -> None:
    """Jobs that wait in the application's own databases until a worker or scheduler hands them on."""


@command.command("create")
@options.modules
@database
def create(modules: tuple[str, ...], database: str | None) -> None:
    """Create the tables of outbox and inbox, or bring them up to date. Safe to repeat."""
    for url, table in _tables(modules, database):
        table.create()
        click.echo(f"{shown(url)} has its outbox.")


@command.command("sql")
@click.argument("dialect", type=click.Choice(["sqlite", "postgresql"]))
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only the steps after this number.")
def sql(dialect: str, after: int) -> None:
    """Print what `create` would run, for a migration of your own."""
    statements = schema.script(
        {"sqlite": SQLITE, "postgresql": POSTGRESQL}[dialect],
        steps=schema.APPLICATION_STEPS,
        table=schema.APPLICATION_VERSIONS,
        after=after,
    )
    for statement in statements:
        click.echo(f"{' '.join(statement.split())};")


@command.command("status")
@options.modules
@database
@options.as_json
def status(modules: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """Print how many jobs wait, since when, and which were given up. Exit code 1 if any was."""
    told = [_status(url, table) for url, table in _tables(modules, database)]
    if as_json:
        click.echo(json.dumps({"schema": 1, "outboxes": told}))
    else:
        for outbox in told:
            _print(outbox)
    if any(backend["dead"] for outbox in told for backend in outbox["backends"]):
        sys.exit(FAILED)


@command.command("retry")
@options.modules
@database
@click.option("--every", is_flag=True, help="All that were given up.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
def retry(modules: tuple[str, ...], database: str | None, every: bool, ids: tuple[str, ...]) -> None:
    """Let jobs that were given up wait for their backends again."""
    if bool(ids) is every:
        raise click.UsageError("Either name IDs, or say --every.")
    count = sum(table.retry(None if every else ids) for _, table in _tables(modules, database))
    click.echo(f"{count} wait again.")
    if not count:
        sys.exit(FAILED)


@command.command("relay")
@options.modules
@database
@click.option(
    "--timeout", type=options.Seconds(), default=timedelta(seconds=60), help="Seconds that it may take. Default: 60."
)
def relay(modules: tuple[str, ...], database: str | None, timeout: timedelta) -> None:
    """Hand on what waits now, and stop; `taskbridge worker` and `taskbridge scheduler` do it all the time."""
    deadline = time.monotonic() + timeout.total_seconds()
    for _, table in _tables(modules, database):
        with closing(Relay(table)) as relay:
            while any(count.waiting for count in table.counts()):
                if time.monotonic() > deadline:
                    click.echo("Not all could be handed on: taskbridge outbox status.", err=True)
                    sys.exit(TIMED_OUT)
                time.sleep(min(relay.beat().total_seconds(), 1))


def _tables(modules: tuple[str, ...], database: str | None) -> Iterator[tuple[str, OutboxTable]]:
    import_tasks(modules)
    chosen = (database,) if database else urls(router.settings)
    if not chosen:
        raise ConfigurationError(
            "No outbox is set. Name its database: TASKBRIDGE_OUTBOX=postgresql://... or --database sqlite:///./app.db"
        )
    for url in chosen:
        with closing(open_outbox(url)) as table:
            yield url, table


def _status(url: str, table: OutboxTable) -> dict[str, Any]:
    if not table.exists():
        raise ConfigurationError(f"{shown(url)} has no outbox: taskbridge outbox create")
    dead = [
        {"id": row.id, "backend": row.backend, "task": row.task, "queue_name": row.queue_name, "error": row.error}
        for row in table.dead(_DEAD_SHOWN)
    ]
    return {"database": shown(url), "backends": [_count(count) for count in table.counts()], "dead": dead}


def _count(count: Count) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(count)
    oldest = data.pop("oldest")
    data["oldest_seconds"] = None if oldest is None else round((datetime.now(UTC) - moment(oldest)).total_seconds(), 3)
    return data


def _print(outbox: dict[str, Any]) -> None:
    if not outbox["backends"]:
        click.echo(f"{outbox['database']}: nothing waits")
    for count in outbox["backends"]:
        words = [f"{outbox['database']}: {count['waiting']} wait for {count['backend']}"]
        if count["oldest_seconds"] is not None:
            words.append(f"the oldest for {count['oldest_seconds']:g} s")
        if count["refused"]:
            words.append(f"{count['refused']} were refused and are tried again")
        if count["dead"]:
            words.append(f"{count['dead']} were given up")
        click.echo(", ".join(words))
    for row in outbox["dead"]:
        click.echo(printable(f"  {row['id']} {row['task']} {row['queue_name']}: {row['error']}"))
