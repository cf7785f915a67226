"""`taskbridge dead`: what failed for good: look at it, enqueue it again, or throw it away."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

import click

from taskbridge.cli import options
from taskbridge.cli.dead_text import as_data, as_line, as_page
from taskbridge.cli.exits import FAILED
from taskbridge.cli.store import store_of
from taskbridge.errors import EnqueueError, RedriveRefused
from taskbridge.message import Reason
from taskbridge.redrive import redrive as redrive_one
from taskbridge.store import Selection
from taskbridge.worker import import_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.store import DeadLetter, Store

SHOWN = 100
"""How many letters `list` prints unless it is told otherwise."""
_DISCARDED_AT_ONCE = 500
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Moment(click.ParamType[datetime]):
    """A point of time, or an age: 30m, 2h, 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            if text[-1:] in _UNITS and text[:-1].isdecimal():
                return datetime.now(UTC) - timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
            moment = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2026-01-31T12:00+00:00, 2026-01-31, or an age: 30m, 2h, 7d.", param, ctx
            )
        return moment if moment.tzinfo is not None else moment.astimezone()


def _reasons() -> list[str]:
    return sorted({reason for part in get_args(Reason) for reason in (get_args(part) or (part,))})


_FILTERS: tuple[Callable[[Any], Any], ...] = (
    options.backend,
    click.option("--task", help="Only of this task."),
    click.option("--queue", "queue_name", help="Only of this queue."),
    click.option("--reason", type=click.Choice(_reasons()), help="Only those that died so."),
    click.option("--since", type=Moment(), help="Only those that died then or later: a time, or an age such as 2h."),
    click.option("--before", type=Moment(), help="Only those that died earlier: a time, or an age such as 7d."),
    options.as_json,
)


def _selects(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group("dead")
def command() -> None:
    """Jobs that failed for good, and messages that could not be read: list, show, redrive or discard them."""


@command.command("list")
@_selects
@click.option("--redriven", "state", flag_value="redriven", default="dead", help="Those that have been redriven.")
@click.option("--all", "state", flag_value="all", help="Both.")
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="At most so many.")
@click.option("--arguments", "has_arguments", is_flag=True, help="Show the arguments too.")
def list_(as_json: bool, state: str, limit: int, has_arguments: bool, **said: Any) -> None:
    """Print dead letters, oldest first. Exit code 1 if there is none."""
    letters = store_of(said["alias"]).letters(_selection((), state=None if state == "all" else state, **said))
    count = 0
    for letter in letters:
        if count == limit:
            click.echo(f"There are more: --limit {limit} was reached.", err=True)
            break
        count += 1
        if as_json:
            click.echo(json.dumps({"schema": 1, **as_data(letter, has_arguments=has_arguments)}))
        else:
            click.echo(as_line(letter, has_arguments=has_arguments))
    if not count:
        click.echo("No dead letter fits.", err=True)
        sys.exit(FAILED)


@command.command()
@options.backend
@click.option("--arguments", "has_arguments", is_flag=True, help="Show the arguments too.")
@click.option("--payload", "wants_payload", is_flag=True, help="Write the raw bytes to standard output, and no more.")
@options.as_json
@click.argument("letter_id", metavar="ID")
def show(alias: str, has_arguments: bool, wants_payload: bool, as_json: bool, letter_id: str) -> None:
    """Print all that is kept of one dead letter."""
    letter = _one(store_of(alias), letter_id)
    if wants_payload:
        if letter.payload is None:
            raise click.UsageError(f"{letter_id} is a job and has no raw bytes: see --arguments.")
        sys.stdout.buffer.write(letter.payload)
    elif as_json:
        click.echo(json.dumps({"schema": 1, **as_data(letter, has_arguments=has_arguments, has_details=True)}))
    else:
        click.echo(as_page(letter, has_arguments=has_arguments))


@command.command()
@_selects
@options.modules
@click.option("--every", is_flag=True, help="All that fit, where no ID is given.")
@click.option("--without-expiry", is_flag=True, help="Let jobs start whose `expires` has passed.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
def redrive(
    modules: tuple[str, ...], ids: tuple[str, ...], every: bool, without_expiry: bool, as_json: bool, **said: Any
) -> None:
    """Enqueue dead jobs again, under their ids, on the backend that gave them up.

    The letter stays, as redriven, until its time has passed or the job dies again. What the broker does not take stays
    dead. Exit code 1 if any was refused, or none fits.
    """
    _want_choice(ids, said, every=every)
    import_tasks(modules)
    store = store_of(said["alias"])
    done = refused = 0
    for letter_id in ids or [letter.id for letter in store.letters(_selection((), **said))]:
        try:
            redrive_one(letter_id, store, without_expiry=without_expiry)
        except (RedriveRefused, EnqueueError) as error:
            refused += 1
            _report(letter_id, "refused", str(error), as_json=as_json)
        else:
            done += 1
            _report(letter_id, "redriven", "", as_json=as_json)
    _end(done, refused)


@command.command()
@_selects
@click.option("--every", is_flag=True, help="All that fit, where no ID is given.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
def discard(ids: tuple[str, ...], every: bool, as_json: bool, **said: Any) -> None:
    """Throw dead letters away for good. Exit code 1 if none fits, or an ID is unknown."""
    _want_choice(ids, said, every=every)
    store = store_of(said["alias"])
    done = 0
    known: set[str] = set()
    for batch in _batches(store.letters(_selection(ids, state=None if ids else "dead", **said))):
        done += store.discard(batch)
        known.update(batch)
        for letter_id in batch:
            _report(letter_id, "discarded", "", as_json=as_json)
    unknown = [letter_id for letter_id in ids if letter_id not in known]
    for letter_id in unknown:
        _report(letter_id, "refused", "there is no such letter of this backend", as_json=as_json)
    _end(done, len(unknown))


def _selection(ids: tuple[str, ...], *, alias: str, state: Any = "dead", **said: Any) -> Selection:
    return Selection(ids=ids, backend=alias, state=state, **said)


def _one(store: Store, letter_id: str) -> DeadLetter:
    letter = next(store.letters(Selection(ids=(letter_id,), state=None)), None)
    if letter is None:
        click.echo(f"There is no dead letter {letter_id!r}: another backend, discarded, or expired.", err=True)
        sys.exit(FAILED)
    return letter


def _want_choice(ids: tuple[str, ...], said: dict[str, Any], *, every: bool) -> None:
    is_filtered = every or any(said[name] is not None for name in ("task", "queue_name", "reason", "since", "before"))
    if bool(ids) is is_filtered:
        raise click.UsageError(
            "Either name IDs, or say which: --task, --queue, --reason, --since, --before or --every."
        )


def _batches(letters: Iterator[DeadLetter]) -> Iterator[list[str]]:
    batch: list[str] = []
    for letter in letters:
        batch.append(letter.id)
        if len(batch) == _DISCARDED_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _report(letter_id: str, what: str, why: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"schema": 1, "id": letter_id, "outcome": what, "reason": why or None}))
    else:
        click.echo(f"{letter_id} {what}{': ' if why else ''}{why}", err=what == "refused")


def _end(done: int, refused: int) -> None:
    if not done and not refused:
        click.echo("No dead letter fits.", err=True)
    if refused or not done:
        sys.exit(FAILED)
