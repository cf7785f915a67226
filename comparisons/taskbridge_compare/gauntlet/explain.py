"""Why did a job run once more? Pure: two executions, the deaths and the breaks between them, and one word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge_compare.gauntlet.executions import Break, Death, Execution, Pause

ACK_WINDOW_SECONDS = 0.5
"""An execution that ended so shortly before a kill may not have been acknowledged yet."""
SLOW_ACK_WINDOW_SECONDS = 3.0
"""The same on a busy machine, for the one execution after which its slot had not begun another."""
RECONNECT_SECONDS = 2.0
"""For so long after a break a worker may run what it holds, although the broker gives it to others again."""

RESUMED_SECONDS = 5.0
"""For so long after a pause a worker may begin what it held, although others were given it meanwhile."""

Explanation = Literal[
    "cut",
    "not acknowledged",
    "broken connection",
    "forgotten by the broker",
    "worker paused",
    "worker resumed",
    "sent again",
    "unexplained",
]


def explain(
    before: Execution,
    after: Execution,
    deaths: Sequence[Death],
    breaks: Sequence[Break],
    pauses: Sequence[Pause] = (),
    *,
    begun_in_slot: Sequence[float],
    sent_doubtfully: bool,
    forgets: float,
) -> Explanation:
    """What made `after` necessary, although `before` had begun.

    `begun_in_slot`: when executions began where `before` ran. `forgets`: for so many seconds before its death a broker
    of this kind may not have written down what was acknowledged (RabbitMQ's classic queues), and hands it out again.
    """
    earlier = [death for death in deaths if death.at < after.begin]
    if any(death.cut(before) for death in earlier):
        return "cut"
    if any(death.killed and _unacknowledged(before, death.at, begun_in_slot) for death in earlier):
        return "not acknowledged"
    for gap in sorted((gap for gap in breaks if gap.begin < after.begin), key=lambda gap: -gap.begin):
        if _held_across(before, after, gap):
            return "broken connection"
        if not gap.key and before.finished is not None and 0 < gap.begin - before.finished <= forgets:
            return "forgotten by the broker"
    for pause in pauses:
        if _held_when_paused(before, after, pause, begun_in_slot):
            return "worker paused"
        if pause.holds(after) and pause.begin <= before.begin and 0 <= after.begin - pause.end <= RESUMED_SECONDS:
            return "worker resumed"
    if sent_doubtfully:
        return "sent again"
    return "unexplained"


def _unacknowledged(run: Execution, struck: float, begun_in_slot: Sequence[float]) -> bool:
    """True if the end of this execution may not have reached the broker when its worker was struck."""
    if run.finished is None or not 0 <= struck - run.finished <= SLOW_ACK_WINDOW_SECONDS:
        return False
    is_last = not any(run.finished < begin < struck for begin in begun_in_slot)
    return is_last or struck - run.finished <= ACK_WINDOW_SECONDS


def _held_across(before: Execution, after: Execution, gap: Break) -> bool:
    """True if the worker held the job over the break: its acknowledgement was lost, and the broker gave it again."""
    over = before.until if before.until is not None else after.begin
    return over >= gap.begin - ACK_WINDOW_SECONDS and before.begin <= gap.healed + RECONNECT_SECONDS


def _held_when_paused(before: Execution, after: Execution, pause: Pause, begun_in_slot: Sequence[float]) -> bool:
    """True if the paused worker had not acknowledged the job yet, so that its lease ran out."""
    if not pause.holds(before) or before.begin >= pause.end or after.begin <= pause.begin:
        return False
    is_running = before.until is None or before.until >= pause.begin
    return is_running or _unacknowledged(before, pause.begin, begun_in_slot)


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long a job that was cut did not run."""

    waited: float
    """Seconds from the cut to the job's next beginning, whatever struck in between."""
    undisturbed: float
    """Seconds from the last strike before that beginning: what a worker needed that was left alone."""


def recoveries(runs: Sequence[Execution], deaths: Sequence[Death], breaks: Sequence[Break]) -> list[Recovery]:
    """Of each cut of one of these executions of a job, or of its delivery, after which the job began again."""
    of_runs = [[death.at for death in deaths if death.cut(run)] for run in runs]
    cuts = [min(found) for found in of_runs if found]
    cuts += [gap.begin for gap in breaks if gap.key == runs[0].key]
    strikes = [*(death.at for death in deaths), *(gap.healed for gap in breaks)]
    found = []
    for cut in cuts:
        again = next((run.begin for run in runs if run.begin > cut), None)
        if again is not None:
            last = max([cut, *(strike for strike in strikes if cut <= strike < again)])
            found.append(Recovery(waited=again - cut, undisturbed=again - last))
    return found
