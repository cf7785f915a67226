"""A result as one self-contained page: light and dark, readable without JavaScript, no request to anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from taskbridge_compare import tables
from taskbridge_compare.experiments import EXPERIMENTS
from taskbridge_compare.timeline import draw

if TYPE_CHECKING:
    from collections.abc import Mapping


def render(result: Mapping[str, Any]) -> str:
    """The page of a result; everything on it is made from the result's own values."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        result=result,
        semantics=tables.semantics(result),
        warning=tables.warning(result),
        not_run=tables.not_run(result),
        speed=tables.speed(result),
        experiments=[_experiment(result, name) for name in EXPERIMENTS if _cells(result, name)],
    )


def _cells(result: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [cell for cell in result["cells"] if cell["experiment"] == name]


def _experiment(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    order = {(row["backend"], row["profile"]): number for number, row in enumerate(result["rows"])}
    cells = sorted(_cells(result, name), key=lambda cell: order[cell["backend"], cell["profile"]])
    return {
        "name": name,
        "title": EXPERIMENTS[name].title,
        "question": EXPERIMENTS[name].question,
        "cells": [
            {
                **cell,
                "tone": tables.tone(cell["verdict"]["outcome"]),
                # Made here from numbers and escaped words; autoescape would show its source.
                "timeline": Markup(draw(cell, result["events"][cell["events"]])),  # noqa: S704 - draw escapes
            }
            for cell in cells
        ],
    }
