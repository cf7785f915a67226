"""`taskbridge check`: what is wrong with a setup that would run."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click
import msgspec

from taskbridge.backend import WorkerOptions
from taskbridge.check import check_backend
from taskbridge.cli import options
from taskbridge.cli.exits import FAILED
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.worker import import_tasks, served_queues

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.check import Checked

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command("check")
@options.modules
@click.option("-b", "--backend", "aliases", multiple=True, metavar="ALIAS", help="Only this backend; repeatable.")
@click.option(
    "--grace",
    type=options.Seconds(),
    default=timedelta(seconds=30),
    help="Seconds that your stops give to running jobs, as in `taskbridge worker --grace`. Default: 30.",
)
@options.as_json
def command(modules: tuple[str, ...], aliases: tuple[str, ...], grace: timedelta, as_json: bool) -> None:
    """Look at brokers, stores, settings and tasks, and name what would lose, double or refuse jobs.

    Exit codes: 0 nothing, or notes only; 1 findings; 2 usage or settings.
    """
    import_tasks(modules)
    tasks = list(registry)
    checked = [
        check_backend(
            alias,
            tasks,
            router,
            options=WorkerOptions(alias=alias, queues=served_queues(alias), grace=grace),
        )
        for alias in aliases or router.settings.backends
    ]
    if as_json:
        click.echo(json.dumps({"schema": 1, "backends": [msgspec.to_builtins(each) for each in checked]}))
    else:
        _print(checked)
    sys.exit(0 if all(each.is_good for each in checked) else FAILED)


def _print(checked: Sequence[Checked]) -> None:
    for each in checked:
        click.echo(f"{each.alias}: {each.target} ({each.origin}), {each.tasks} tasks")
        for finding in each.findings:
            mark = click.style(finding.severity, fg=_COLOURS[finding.severity], bold=True)
            click.echo(f"  {mark} {finding.about}: {finding.what}")
            click.echo(f"    {finding.consequence}")
            click.echo(f"    -> {finding.remedy}")
        if not each.findings:
            click.echo("  nothing found")
