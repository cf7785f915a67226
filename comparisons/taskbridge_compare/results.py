"""A result is data: who ran what, where, and every raw event. Schema version 1."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from taskbridge_compare.experiments import EXPERIMENTS
from taskbridge_compare.ledger import Event
from taskbridge_compare.place import usable_processors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SCHEMA = 1


class ResultError(ValueError):
    """A file that is no result of a version that can be read."""


@dataclass(slots=True, kw_only=True)
class Result:
    """What a run found out. Everything in it is a plain JSON value; tables are made from `plain()` alone."""

    header: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    speed: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, Any] = field(default_factory=dict)
    not_run: list[dict[str, str]] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            **self.header,
            "rows": self.rows,
            "cells": self.cells,
            "speed": self.speed,
            "not_run": self.not_run,
            "samples": self.samples,
            "events": self.events,
        }

    def write(self, path: Path) -> None:
        """As JSON, one line a top-level part, so that two results can be compared by eye."""
        parts = [f"{json.dumps(name)}: {json.dumps(value, default=str)}" for name, value in self.plain().items()]
        path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def read(path: Path) -> dict[str, Any]:
    """A published result as plain values. Raises ResultError."""
    try:
        plain: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: {error}") from None
    if plain.get("schema") != SCHEMA:
        raise ResultError(f"{path}: schema {plain.get('schema')!r}, this version reads {SCHEMA}")
    return plain


def judge_again(plain: Mapping[str, Any], cell: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict of a published cell, made again from its raw events. A run that broke has no history to judge."""
    if cell.get("broken"):
        return dict(cell["verdict"])
    events = [Event.restore(event) for event in plain["events"][cell["events"]]]
    return EXPERIMENTS[cell["experiment"]].judge(events, cell["asked"]).plain()


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "usable_processors": usable_processors(),
        "processor": _processor(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": os.getloadavg(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 - a kernel interface, read line by line
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        return ""


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Installed versions of these distributions."""
    return {name: importlib.metadata.version(name) for name in sorted(set(distributions), key=str.lower)}


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
