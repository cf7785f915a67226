"""A fault as a picture: attempts against the kill. SVG text, made from a cell's raw events alone."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from taskbridge_compare.ledger import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH = 640
_LEFT = 112
_RIGHT = 28
_LANE = 22
_TOP = 26


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution: its process, its seconds relative to the fault, and how it ended (`end`, `raise`, `cut`)."""

    pid: int
    begin: float
    finish: float
    how: str


def attempts(events: Sequence[Event], victim: str, until: float) -> list[Attempt]:
    """Every attempt of the victim; one that neither ended nor raised was cut by the fault, or runs still."""
    zero = _fault(events, victim)
    found = []
    for start in (event for event in events if event.key == victim and event.kind == "start"):
        finish = next(
            (
                event
                for event in events
                if event.key == victim
                and event.pid == start.pid
                and event.at > start.at
                and event.kind in ("end", "raise")
            ),
            None,
        )
        if finish is not None:
            found.append(Attempt(start.pid, start.at - zero, finish.at - zero, finish.kind))
        else:
            cut = 0.0 if start.at < zero else until
            found.append(Attempt(start.pid, start.at - zero, max(cut, start.at - zero), "cut"))
    return found


def _fault(events: Sequence[Event], victim: str) -> float:
    return next((event.at for event in events if event.key == victim and event.kind == "fault"), 0.0)


def draw(cell: Mapping[str, Any], plain_events: Sequence[Mapping[str, Any]]) -> str:
    """The picture of a fault cell; empty if no fault struck."""
    victim = cell["asked"].get("victim", "")
    events = [Event.restore(event) for event in plain_events]
    zero = _fault(events, victim)
    if not zero:
        return ""
    window = float(cell["asked"]["window"])
    runs = attempts(events, victim, window)
    last = max([window, *(run.finish for run in runs)])
    first = min([-1.0, *(run.begin for run in runs)])
    scale = (_WIDTH - _LEFT - _RIGHT) / (last - first)

    def x(seconds: float) -> float:
        return round(_LEFT + (seconds - first) * scale, 1)

    height = _TOP + _LANE * (len(runs) + 1) + 20
    where = f"{cell['backend']} ({cell['profile']})"
    title = f"{where}: {cell['verdict']['text']}. {cell['verdict']['detail']}"
    parts = [
        f'<svg class="timeline" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f'<rect class="window" x="{x(0)}" y="{_TOP - 8}" width="{x(window) - x(0)}" height="{height - _TOP - 10}"/>',
    ]
    for number, run in enumerate(runs):
        y = _TOP + number * _LANE
        parts.append(f'<text class="lane" x="4" y="{y + 11}">attempt {number + 1}, pid {run.pid}</text>')
        width = max(x(run.finish) - x(run.begin), 5)
        parts.append(
            f'<rect class="{run.how}" x="{x(run.finish) - width:.1f}" y="{y}" width="{width:.1f}" height="14" rx="2"/>'
        )
        if run.how != "cut":
            parts.append(f'<text class="mark" x="{x(run.finish) + 3}" y="{y + 11}">{run.how}</text>')
    y = _TOP + len(runs) * _LANE
    parts.append(f'<text class="lane" x="4" y="{y + 11}">worker starts, sentinel</text>')
    for event in events:
        at = event.at - zero
        if event.kind == "worker" and first <= at <= last:
            parts.append(f'<path class="worker" d="M{x(at)} {y + 13}v-12l7 6z"/>')
        elif event.kind == "end" and event.key == cell["asked"].get("sentinel"):
            parts.append(f'<circle class="sentinel" cx="{x(min(at, last))}" cy="{y + 7}" r="4"/>')
    parts.append(f'<line class="fault" x1="{x(0)}" x2="{x(0)}" y1="8" y2="{height - 16}"/>')
    parts.append(f'<text class="fault" x="{x(0) + 4}" y="13">{escape(_fault_words(events, victim))}</text>')
    step = 5 if last <= 60 else 60
    axis = [
        f'<text class="axis" x="{x(second)}" y="{height - 3}">{second} s</text>'
        for second in range(0, int(last) + 1, step)
    ]
    return "".join([*parts, *axis, "</svg>"])


def _fault_words(events: Sequence[Event], victim: str) -> str:
    return next(str(event.extra["fault"]) for event in events if event.key == victim and event.kind == "fault")
