"""`taskbridge periodic`: what is enqueued by the clock: list it, pause it, trigger it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from taskbridge.cli import options
from taskbridge.identity import new_id
from taskbridge.router import router
from taskbridge.schedules import known_schedules
from taskbridge.worker import import_tasks

if TYPE_CHECKING:
    from taskbridge.schedules import Schedule
    from taskbridge.store import Standing, Store


@click.group("periodic")
def command() -> None:
    """Periodic tasks: list, pause, resume or trigger them. A schedule is named as `list` names it."""


@command.command("list")
@options.modules
@options.as_json
def list_(modules: tuple[str, ...], as_json: bool) -> None:
    """Print every schedule, when it ticked last and when it will next."""
    import_tasks(modules)
    schedules = sorted(known_schedules(), key=lambda schedule: schedule.name)
    standings: dict[str, Standing] = {}
    for alias in {schedule.task.options.backend for schedule in schedules}:
        store = router.store(alias)
        own = [schedule.name for schedule in schedules if schedule.task.options.backend == alias]
        standings |= {} if store is None else store.standings(own)
    for schedule in schedules:
        data = _as_data(schedule, standings.get(schedule.name))
        click.echo(json.dumps({"schema": 1, **data}) if as_json else _as_line(data))
    if not schedules:
        click.echo("No task is periodic. Name the modules of your tasks with -A.", err=True)


@command.command()
@options.modules
@options.as_json
@click.argument("name")
def pause(modules: tuple[str, ...], as_json: bool, name: str) -> None:
    """Let the schedule NAME not tick until it is resumed. What is enqueued already runs."""
    _set_paused(modules, name, is_paused=True, as_json=as_json)


@command.command()
@options.modules
@options.as_json
@click.argument("name")
def resume(modules: tuple[str, ...], as_json: bool, name: str) -> None:
    """Let the schedule NAME tick again, from now on: what it has missed is not made up for."""
    _set_paused(modules, name, is_paused=False, as_json=as_json)


@command.command()
@options.modules
@options.as_json
@click.argument("name")
def trigger(modules: tuple[str, ...], as_json: bool, name: str) -> None:
    """Enqueue a job of the schedule NAME now, beside its ticks, even if it is paused."""
    import_tasks(modules)
    job = known_schedules().get(name).trigger(new_id(), datetime.now(UTC))
    click.echo(json.dumps({"schema": 1, "id": job.id}) if as_json else job.id)


def _set_paused(modules: tuple[str, ...], name: str, *, is_paused: bool, as_json: bool) -> None:
    import_tasks(modules)
    schedule = known_schedules().get(name)
    store = _store(schedule)
    # It may be paused before any scheduler has seen it.
    store.enter(name, str(schedule.timetable))
    if is_paused:
        store.pause(name)
    else:
        store.resume(name)
    word = "paused" if is_paused else "resumed"
    click.echo(json.dumps({"schema": 1, "name": name, "state": word}) if as_json else f"{name} {word}")


def _store(schedule: Schedule) -> Store:
    alias = schedule.task.options.backend
    store = router.store(alias)
    if store is None:
        raise click.UsageError(f"The backend {alias!r} has no store: name one in its URL, ?store=redis://...")
    return store


def _as_data(schedule: Schedule, standing: Standing | None) -> dict[str, Any]:
    is_paused = standing is not None and standing.is_paused
    now = datetime.now(UTC)
    last = standing.last_tick if standing is not None else None
    return {
        "name": schedule.name,
        "task": schedule.task.name,
        "backend": schedule.task.options.backend,
        "timetable": str(schedule.timetable),
        "state": "paused" if is_paused else "active" if standing is not None else "never seen by a scheduler",
        "next": None if is_paused else schedule.timetable.after(now).isoformat(),
        "last": None if last is None else last.isoformat(),
        "last_job": standing.last_job if standing is not None else None,
        "missed": schedule.missed,
        "overlap": schedule.overlap,
        "jitter": schedule.jitter.total_seconds(),
    }


def _as_line(data: dict[str, Any]) -> str:
    words = [data["name"], data["timetable"], data["state"]]
    words += [f"{key} {data[key]}" for key in ("next", "last") if data[key] is not None]
    return "  ".join(words)
