"""`taskbridge result`: what is recorded of a job."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from taskbridge.cli import options
from taskbridge.cli.exits import FAILED, TIMED_OUT, USAGE
from taskbridge.errors import ResultTimeout
from taskbridge.router import router
from taskbridge.store import wait as wait_for

if TYPE_CHECKING:
    from datetime import timedelta

    from taskbridge.store import Record


@click.command("result")
@options.backend
@click.option("--wait", type=options.Seconds(), help="Wait so many seconds for the job to end.")
@options.as_json
@click.argument("job_id", metavar="ID")
def command(alias: str, wait: timedelta | None, as_json: bool, job_id: str) -> None:
    """Print what is recorded of the job ID."""
    store = router.store(alias)
    if store is None:
        click.echo(f"The backend {alias!r} keeps no results: name a store in its URL, ?store=redis://...", err=True)
        sys.exit(USAGE)
    try:
        record = store.read(job_id) if wait is None else wait_for(store, job_id, wait)
    except ResultTimeout as error:
        click.echo(str(error), err=True)
        sys.exit(TIMED_OUT)
    if record is None:
        click.echo(f"Nothing is recorded under {job_id}: another backend, results off, or expired.", err=True)
        sys.exit(FAILED)
    _print(record, as_json=as_json)


def _print(record: Record, *, as_json: bool) -> None:
    data = msgspec.to_builtins(record)
    if as_json:
        click.echo(json.dumps({"schema": 1, **data}))
        return
    for name, value in data.items():
        if name == "errors":
            for error in value:
                click.echo(f"attempt {error['attempt']}: {error['exception_class_path']}: {error['message']}")
        else:
            click.echo(f"{name}: {value}")
