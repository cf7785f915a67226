"""`taskbridge cancel`: a job that has not begun does not start, and one that runs is asked to end, or ended."""

from __future__ import annotations

import json
import sys

import click

from taskbridge.cancellation import Cancellation
from taskbridge.cli import options
from taskbridge.cli.exits import FAILED
from taskbridge.router import router

_TOLD = {
    Cancellation.REMOVED: "It had not begun, and is no longer on its broker.",
    Cancellation.WILL_NOT_START: "It had not begun, and will not be started.",
    Cancellation.ASKED: "No further attempt will start; one that runs now has been asked to end.",
    Cancellation.TERMINATING: (
        "No further attempt will start; one that runs now is ended by its worker, if its task is cancellable."
    ),
    Cancellation.ALREADY_FINISHED: "It has ended.",
    Cancellation.UNKNOWN: "Nothing is known of it. If its task is cancellable, no further attempt will start.",
}


@click.command("cancel")
@options.backend
@options.as_json
@click.option("--terminate", is_flag=True, help="End an attempt that runs, if its task is cancellable.")
@click.argument("job_id", metavar="ID")
def command(alias: str, as_json: bool, terminate: bool, job_id: str) -> None:
    """Cancel the job ID. Exit code 1 if it has ended, or nothing is known of it."""
    answer = router.cancel(job_id, alias, terminate=terminate)
    if as_json:
        click.echo(json.dumps({"schema": 1, "id": job_id, "outcome": answer.value}))
    else:
        click.echo(f"{job_id} {answer.value}: {_TOLD[answer]}")
    if not answer.is_effective:
        sys.exit(FAILED)
