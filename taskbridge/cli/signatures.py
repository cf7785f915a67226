"""`taskbridge signatures`: does the code still run the messages of the code before it?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import msgspec

from taskbridge.cli import options
from taskbridge.cli.exits import FAILED
from taskbridge.registry import registry
from taskbridge.signatures.comparison import compare
from taskbridge.signatures.description import Signature, signatures_of
from taskbridge.signatures.lock import read_lock, replay, write_lock
from taskbridge.worker import import_tasks

DEFAULT = Path("taskbridge-signatures.json")

_FILE = click.option(
    "--file", "path", type=click.Path(path_type=Path), default=DEFAULT, show_default=True, help="The lock file."
)


@click.group("signatures")
def command() -> None:
    """For CI: hold the tasks of this code against those of the code that is deployed."""


@command.command()
@options.modules
@_FILE
@options.as_json
def lock(modules: tuple[str, ...], path: Path, as_json: bool) -> None:
    """Write the signatures of all tasks to the lock file, which belongs into the repository."""
    found = _signatures(modules)
    write_lock(path, found)
    if as_json:
        click.echo(json.dumps({"schema": 1, "file": str(path), "tasks": sorted(found)}))
    else:
        click.echo(f"{path}: {len(found)} tasks.")


@command.command()
@options.modules
@_FILE
@click.option(
    "--messages",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Also read the recorded messages of this folder: *.json, each with task, args and kwargs.",
)
@options.as_json
def check(modules: tuple[str, ...], path: Path, messages: Path | None, as_json: bool) -> None:
    """Compare the tasks with the lock file. Exit code 1 if a message of the locked code could not be run."""
    changes = compare(read_lock(path), _signatures(modules))
    unread = [] if messages is None else list(replay(messages, registry))
    for change in changes:
        if as_json:
            click.echo(json.dumps({"schema": 1, **msgspec.to_builtins(change)}))
        else:
            verdict = "compatible" if change.is_compatible else "INCOMPATIBLE"
            click.echo(f"{verdict}: {change.task}: {change.what}. {change.remedy}".rstrip())
    for file, why in unread:
        if as_json:
            click.echo(json.dumps({"schema": 1, "file": str(file), "is_compatible": not why, "what": why}))
        elif why:
            click.echo(f"INCOMPATIBLE: {file}: {why}")
    wrong = sum(not change.is_compatible for change in changes) + sum(bool(why) for _, why in unread)
    if not as_json:
        click.echo(f"{len(changes)} changes, {len(unread)} messages read, {wrong} incompatible.", err=True)
    if wrong:
        sys.exit(FAILED)


def _signatures(modules: tuple[str, ...]) -> dict[str, Signature]:
    import_tasks(modules)
    found = signatures_of(registry)
    if not found:
        raise click.UsageError("No task is declared: name a module with -A, or in the setting `imports`.")
    return found
