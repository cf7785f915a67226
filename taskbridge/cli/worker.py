"""`taskbridge worker`: run the engine's own workers."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn

import click

from taskbridge.backend import WorkerOptions
from taskbridge.cli import exits, options
from taskbridge.cli.scheduler import tell as tell_of_scheduler
from taskbridge.process import Ending, Event, supervise
from taskbridge.router import router
from taskbridge.scheduler import scheduling
from taskbridge.settings import did_you_mean
from taskbridge.worker import import_tasks, served_queues

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.process import Command


@click.command("worker", context_settings={"ignore_unknown_options": True})
@options.modules
@options.backend
@click.option("-Q", "--queues", help="Queues to serve, with commas. Default: all that the settings list.")
@click.option("-c", "--concurrency", type=click.IntRange(min=1), default=1, help="Attempts at a time. Default: 1.")
@click.option(
    "--grace",
    type=options.Seconds(),
    default=timedelta(seconds=30),
    help="Seconds that running jobs may take after SIGTERM. Default: 30. Stay below your orchestrator's.",
)
@click.option(
    "--no-scheduler",
    is_flag=True,
    help="Leave delays and periodic tasks to other workers or `taskbridge scheduler`. A single native program then "
    "takes the place of this one, unsupervised.",
)
@click.option("--print-native", is_flag=True, help="Print the native command lines and exit.")
@options.as_json
@click.argument("native", nargs=-1, type=click.UNPROCESSED)
def command(
    modules: tuple[str, ...],
    alias: str,
    queues: str | None,
    concurrency: int,
    grace: timedelta,
    no_scheduler: bool,
    print_native: bool,
    as_json: bool,
    native: tuple[str, ...],
) -> None:
    """Start the engine's own workers and keep them running.

    Everything after -- is handed to the engine's own command line. SIGTERM stops them warmly; a second one kills.
    """
    import_tasks(modules)
    known = served_queues(alias)
    served = tuple(name.strip() for name in queues.split(",")) if queues else known
    for name in served:
        if name not in known and not router.backend_settings(alias).any_queue:
            raise click.UsageError(f"The backend {alias!r} has no queue {name!r}.{did_you_mean(name, known)}")
    asked = WorkerOptions(
        alias=alias,
        queues=served,
        concurrency=concurrency,
        grace=grace,
        imports=tuple(dict.fromkeys((*modules, *router.settings.imports))),
        native_arguments=native,
    )
    commands = router.backend(alias).worker_commands(asked)
    if print_native:
        _print(commands, as_json=as_json)
        return
    click.echo(f"Serving {', '.join(served)} of {router.backend_settings(alias).target}", err=True)
    if no_scheduler and len(commands) == 1:
        _become(commands[0])
    with scheduling(() if no_scheduler else (alias,), tell_of_scheduler):
        ending = supervise(commands, grace=grace, on_event=_tell)
    code, words = _ENDINGS[ending]
    click.echo(f"taskbridge worker: {words.format(grace=f'{grace.total_seconds():g} s')}", err=True)
    sys.exit(code)


_ENDINGS: Final = {
    Ending.STOPPED: (0, "stopped, all left by themselves"),
    Ending.GAVE_UP: (exits.FAILED, "stopped, since a program could not be kept running: its last lines say why"),
    Ending.KILLED: (
        exits.KILLED,
        "stopped; what had not left after the grace of {grace}, or at a second signal, was killed; its jobs run again",
    ),
}
"""Exit code, and what is said last."""


def _become(command: Command) -> NoReturn:
    """Be the native program, under our own process id: whoever started us supervises it."""
    if command.directory is not None:
        os.chdir(command.directory)
    environment = command.full_environment()
    try:
        os.execvpe(command.argv[0], command.argv, environment)  # noqa: S606 - a list, and no shell
    except OSError as error:
        raise click.ClickException(f"cannot start {command.name}: {error}") from error


def _print(commands: Sequence[Command], *, as_json: bool) -> None:
    if as_json:
        listed = [{"argv": command.argv, "variables": sorted(command.environment)} for command in commands]
        click.echo(json.dumps({"schema": 1, "commands": listed}))
        return
    for command in commands:
        if command.environment:
            click.echo(f"# in the environment: {', '.join(sorted(command.environment))}")
        click.echo(shlex.join(command.argv))


def _tell(event: Event) -> None:
    words = [f"taskbridge worker: {event.command.name} {event.kind}"]
    if event.pid is not None:
        words.append(f"pid {event.pid}")
    if event.exit_code is not None:
        words.append(_how(event.exit_code))
    if event.delay is not None:
        words.append(f"in {event.delay.total_seconds():g} s")
    if event.reason:
        words.append(event.reason)
    click.echo(", ".join(words), err=True)


def _how(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"
