"""A cell on disk: what was asked, what was judged, and every raw event, compressed."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from taskbridge_compare.gauntlet.judge import Judgement, judge
from taskbridge_compare.ledger import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCHEMA = 1
_FORGOTTEN = ("intended_ns", "task", "argv")


def write(path: Path, header: Mapping[str, Any], events: Sequence[Event]) -> Judgement:
    """Judge what is about to be published, so that the published can be judged again; write both, in one step."""
    rows = [_row(event, events[0].at) for event in events]
    judgement = judge([_event(row) for row in rows], header["asked"])
    lines = [json.dumps({"schema": SCHEMA, **header, "judgement": judgement.plain()})]
    lines += [json.dumps(row, separators=(",", ":")) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    unfinished.replace(path)
    return judgement


def read_header(path: Path) -> dict[str, Any]:
    """A cell without its events. Raises ValueError for a file of another schema."""
    with gzip.open(path, "rt") as file:
        header: dict[str, Any] = json.loads(file.readline())
    if header.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema {header.get('schema')!r}, this version reads {SCHEMA}")
    return header


def read_events(path: Path) -> list[Event]:
    """The raw events of a cell."""
    with gzip.open(path, "rt") as file:
        file.readline()
        return [_event(json.loads(line)) for line in file]


def judge_again(path: Path) -> Judgement:
    """The judgement of a published cell, made again from its events."""
    return judge(read_events(path), read_header(path)["asked"])


def restate(path: Path) -> Judgement:
    """Write a cell's judgement anew from its events, after the judge has learnt something."""
    header = read_header(path)
    del header["judgement"], header["schema"]
    return write(path, header, read_events(path))


def _row(event: Event, zero: float) -> list[Any]:
    extra = {name: value for name, value in event.extra.items() if name not in _FORGOTTEN}
    return [round(event.at - zero, 4), event.kind, event.key, event.pid, extra]


def _event(row: Sequence[Any]) -> Event:
    at, kind, key, pid, extra = row
    return Event(kind=kind, key=key, at=at, wall=0.0, pid=pid, extra=extra)
