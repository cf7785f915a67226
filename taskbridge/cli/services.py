"""`taskbridge services`: private Redis, RabbitMQ and PostgreSQL servers for a try."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import psutil

from taskbridge.cli import options
from taskbridge.cli.exits import FAILED, USAGE
from taskbridge.services import KINDS, Kind, explain
from taskbridge.services.hold import Wanted, start_detached
from taskbridge.services.state import ServerRecord, default_state_file, open_state, read_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATIENCE = timedelta(seconds=20)

_state = click.option(
    "--state",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=default_state_file,
    help="Where the started servers are recorded. Default: services.json in the user's cache folder.",
)


@click.group("services")
def command() -> None:
    """Start and stop private servers: on loopback, on free ports, with their data in a temporary folder."""


@command.command()
@click.option("--redis", "kinds", flag_value="redis", multiple=True, help="Redis.")
@click.option("--rabbitmq", "kinds", flag_value="rabbitmq", multiple=True, help="RabbitMQ.")
@click.option("--postgres", "kinds", flag_value="postgres", multiple=True, help="PostgreSQL.")
@click.option("--allow-apt", is_flag=True, help="As root, install what is missing with apt-get.")
@click.option("--no-download", is_flag=True, help="Fetch no Debian packages into the cache folder.")
@_state
@options.as_json
def up(kinds: tuple[Kind, ...], allow_apt: bool, no_download: bool, path: Path, as_json: bool) -> None:
    """Start servers that run on until `down`; without a name, all that this machine has. Prints their URLs."""
    missing: dict[Kind, str] = {}
    for kind in kinds or KINDS:
        found = explain(kind, allow_apt=allow_apt, allow_download=not no_download, private=True)
        if found.source is None:
            missing[kind] = found.remedy
    if missing and (kinds or len(missing) == len(KINDS)):
        for kind, remedy in missing.items():
            click.echo(f"No {kind} server on this machine. {remedy}.", err=True)
        sys.exit(USAGE)
    with open_state(path) as state:
        state.servers = [record for record in state.servers if record.running]
        up_already = {record.kind for record in state.servers}
        wanted = tuple(kind for kind in kinds or KINDS if kind not in up_already and kind not in missing)
        if wanted:
            started = start_detached(Wanted(wanted, allow_apt=allow_apt, allow_download=not no_download))
            state.servers += list(started)
        asked = [record for record in state.servers if not kinds or record.kind in kinds]
    _print(asked, as_json=as_json, missing=missing)


@command.command()
@_state
@options.as_json
def status(path: Path, as_json: bool) -> None:
    """Print what was started and whether it runs. Exit code 1 if nothing runs."""
    servers = read_state(path).servers
    _print(servers, as_json=as_json)
    if not any(record.running for record in servers):
        sys.exit(FAILED)


@command.command()
@_state
@options.as_json
def down(path: Path, as_json: bool) -> None:
    """Stop what `up` started, and only that; its data go with it."""
    with open_state(path) as state:
        stopped = [record for record in state.servers if record.running]
        _stop(state.servers)
        state.servers = [record for record in state.servers if record.running]
    _print(stopped, as_json=as_json, done="stopped")
    if state.servers:
        click.echo(f"Still running: {', '.join(record.kind for record in state.servers)}", err=True)
        sys.exit(FAILED)


def _stop(servers: Sequence[ServerRecord]) -> None:
    holders = {record.holder.pid: record.holder.process() for record in servers}
    living = [holder for holder in holders.values() if holder is not None]
    for holder in living:
        holder.terminate()
    _, stubborn = psutil.wait_procs(living, _PATIENCE.total_seconds())
    for holder in stubborn:
        holder.kill()
    # The servers end with their holder: their keepers see to it, after a kill within moments.
    left = [process for record in servers if (process := record.server.process()) is not None]
    psutil.wait_procs(left, _PATIENCE.total_seconds())


def _print(
    servers: Sequence[ServerRecord], *, as_json: bool, done: str = "", missing: Mapping[Kind, str] | None = None
) -> None:
    rows = [
        {
            "kind": record.kind,
            "state": done or ("running" if record.running else "dead"),
            "url": record.url,
            "version": record.version,
            "origin": record.origin,
            "pid": record.server.pid,
            "directory": record.directory,
        }
        for record in servers
    ]
    if as_json:
        click.echo(msgspec.json.encode({"schema": 1, "servers": rows, "missing": missing or {}}))
        return
    for row in rows:
        click.echo(f"{row['kind']:<9} {row['state']:<8} {row['url']}  ({row['version']}, {row['origin']})")
    for kind, remedy in (missing or {}).items():
        click.echo(f"{kind:<9} missing  {remedy}", err=True)
    if not rows and not missing:
        click.echo("No servers are recorded.", err=True)
