"""`taskbridge compare`: the same workload on every engine, with real workers, brokers and faults."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path

import click

_NEEDED = ("jinja2", "rich", "taskbridge_compare")


@click.command("compare")
@click.argument("workload", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--backends", metavar="A,B", help="Only these, for instance celery+redis,huey (all of Huey's).")
@click.option("--profile", "profiles", multiple=True, help="Only this column: native or taskbridge.")
@click.option("--only", metavar="X,Y", help="Only these experiments, for instance tree_kill,priority.")
@click.option("--no-speed", is_flag=True, help="Semantics only.")
@click.option("--quick", "mode", flag_value="quick", help="Watch 8 s a cell; small speed runs.")
@click.option("--full", "mode", flag_value="full", help="Wait the engines' documented bounds out.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the raw result.")
@click.option("--html", "html_path", type=click.Path(path_type=Path, dir_okay=False), help="Write a report page.")
@click.option("--from", "from_path", type=click.Path(path_type=Path), help="Show a published result; run nothing.")
def command(
    workload: Path | None,
    backends: str | None,
    profiles: tuple[str, ...],
    only: str | None,
    no_speed: bool,
    mode: str | None,
    json_path: Path | None,
    html_path: Path | None,
    from_path: Path | None,
) -> None:
    """Run the same tasks on every engine that this machine can run, and show what differs."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise click.ClickException(f"compare needs {', '.join(missing)}: pip install 'taskbridge[compare]'")
    from taskbridge_compare.command import Request, compare

    request = Request(
        workload=workload,
        backends=_words(backends),
        profiles=profiles,
        experiments=_words(only),
        speed=not no_speed,
        mode="quick" if mode == "quick" else "full" if mode == "full" else "default",
        json_path=json_path,
        html_path=html_path,
        from_path=from_path,
        typed=shlex.join(["taskbridge", *sys.argv[1:]]),
    )
    try:
        code = compare(request)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None
    raise click.exceptions.Exit(code)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())
