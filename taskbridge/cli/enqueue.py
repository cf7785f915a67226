"""`taskbridge enqueue`: one job from the shell."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from taskbridge.cli import options
from taskbridge.cli.exits import FAILED, TIMED_OUT
from taskbridge.errors import JobFailed, ResultTimeout

if TYPE_CHECKING:
    from datetime import timedelta


@click.command("enqueue")
@options.modules
@click.option("-b", "--backend", "alias", help="Alias of the backend. Default: the task's own.")
@click.option("--queue", "queue_name", help="Queue of the job.")
@click.option("--priority", type=int, help="-100 to 100, larger sooner.")
@click.option("--delay", "run_after", type=options.Seconds(), help="Seconds before it may start.")
@click.option("--expires", type=options.Seconds(), help="Seconds after which it shall not start any more.")
@click.option("--wait", type=options.Seconds(), help="Wait so many seconds for the result, and print it.")
@options.as_json
@click.argument("task")
@click.argument("arguments", default="[]")
def command(
    modules: tuple[str, ...],
    alias: str | None,
    wait: timedelta | None,
    as_json: bool,
    task: str,
    arguments: str,
    **changes: Any,
) -> None:
    """Enqueue TASK with ARGUMENTS: a JSON list, or a JSON object of keyword arguments."""
    found = options.find_task(task, modules)
    try:
        call = json.loads(arguments)
    except ValueError as error:
        raise click.UsageError(f"ARGUMENTS is no JSON: {error}.") from error
    args, kwargs = (call, {}) if isinstance(call, list) else ([], call)
    if not isinstance(kwargs, dict):
        raise click.UsageError("ARGUMENTS must be a JSON list, or a JSON object of keyword arguments.")
    changes = {name: value for name, value in {**changes, "backend": alias}.items() if value is not None}
    if wait is not None:
        changes["result"] = True
    typed_args, typed_kwargs = found.codec.decode(args, kwargs)
    handle = found.using(**changes).enqueue(*typed_args, **typed_kwargs)
    _say({"id": handle.id}, handle.id, as_json=as_json)
    if wait is None:
        return
    try:
        value = found.codec.encode_result(handle.wait(timeout=wait))
    except ResultTimeout as error:
        click.echo(str(error), err=True)
        sys.exit(TIMED_OUT)
    except JobFailed as error:
        click.echo(str(error), err=True)
        sys.exit(FAILED)
    _say({"id": handle.id, "value": value}, json.dumps(value), as_json=as_json)


def _say(data: dict[str, Any], text: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"schema": 1, **data}) if as_json else text)
