"""`taskbridge key`: whose an idempotency key is, and how to let it be done again."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import click

from taskbridge.cli import options
from taskbridge.cli.exits import FAILED
from taskbridge.cli.store import store_of
from taskbridge.worker.effectively_once import key_name


@click.group("key")
def command() -> None:
    """What tasks with delivery="effectively_once" have done: look at a key, or let it be done again."""


@command.command()
@options.backend
@options.as_json
@click.argument("task")
@click.argument("key")
def show(alias: str, as_json: bool, task: str, key: str) -> None:
    """Print which job has KEY of TASK or has done it. Exit code 1 if nobody has."""
    found = store_of(alias).read_key(key_name(task, key))
    if found is None:
        _nobody(task, key)
    data = {
        "task": task,
        "key": key,
        "state": "running" if found.done_at is None else "done",
        "job": found.job,
        "done_at": None if found.done_at is None else found.done_at.isoformat(),
        "seconds_left": found.left.total_seconds(),
        "skipped": found.skipped,
        "fencing_token": found.token,
    }
    if as_json:
        click.echo(json.dumps({"schema": 1, **data}))
    else:
        for name, value in data.items():
            click.echo(f"{name}: {'-' if value is None else value}")


@command.command()
@options.backend
@options.as_json
@click.argument("task")
@click.argument("key")
def forget(alias: str, as_json: bool, task: str, key: str) -> None:
    """Let KEY of TASK be done again. Exit code 1 if it is not done."""
    if not store_of(alias).forget_key(key_name(task, key)):
        _nobody(task, key)
    if as_json:
        click.echo(json.dumps({"schema": 1, "task": task, "key": key, "outcome": "forgotten"}))
    else:
        click.echo(f"{key} of {task} may be done again.")


def _nobody(task: str, key: str) -> NoReturn:
    click.echo(f"Nobody has done {key!r} of {task!r} here, or its time has passed.", err=True)
    sys.exit(FAILED)
