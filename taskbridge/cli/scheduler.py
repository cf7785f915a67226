"""`taskbridge scheduler`: do the duties of the backends, without running jobs."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from taskbridge.cli import options
from taskbridge.router import router
from taskbridge.scheduler import scheduling
from taskbridge.worker import import_tasks

if TYPE_CHECKING:
    from types import FrameType


@click.command("scheduler")
@options.modules
@click.option("-b", "--backend", "aliases", multiple=True, help="Alias of a backend; repeatable. Default: all.")
def command(modules: tuple[str, ...], aliases: tuple[str, ...]) -> None:
    """Hand over what is due, until SIGTERM.

    Any number may run, beside any number of `taskbridge worker`, each of which does the same for its own backend.
    """
    import_tasks(modules)
    chosen = aliases or tuple(router.settings.backends)
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with scheduling(chosen, tell) as names:
        if not names:
            raise click.UsageError(
                f"There is nothing to schedule for {', '.join(chosen)}: no delay has to wait, and no task is periodic."
            )
        tell(f"started for {', '.join(names)}")
        stopped.wait()
    tell("stopped")


def tell(words: str) -> None:
    """One line on standard error."""
    click.echo(f"taskbridge scheduler: {words}", err=True)
