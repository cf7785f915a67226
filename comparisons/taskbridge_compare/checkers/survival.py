"""Whether jobs are lost, stuck, run again or doubled."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from taskbridge_compare.checkers.verdict import Verdict, events_of, refused, sentinel_ran

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge_compare.ledger import Event


def crash(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """After a fault in the middle of an attempt: asked holds `victim`, `sentinel`, `window` (s) and `bounds`."""
    victim = asked["victim"]
    if asked.get("inapplicable"):
        return Verdict(outcome="inapplicable", text="not applicable", detail=asked["inapplicable"])
    if verdict := refused(history, victim):
        return verdict
    faults, starts, ends = (events_of(history, victim, kind) for kind in ("fault", "start", "end"))
    if not faults or not starts or starts[0].at > faults[0].at:
        return Verdict(outcome="unknown", text="unknown", detail="the fault did not strike while the job ran")
    struck = faults[0]
    if any(end.at < struck.at for end in ends):
        return Verdict(outcome="unknown", text="unknown", detail="the job had ended before the fault struck")
    again = [start for start in starts if start.at > struck.at]
    after = _worker_ended(history, asked)
    if len(ends) > 1:
        how = "two attempts overlapped" if _overlap(starts, ends) else "one after the other"
        text = f"ran {len(ends)} times"
        return Verdict(outcome="duplicated", text=text, detail=f"completed {len(ends)} times; {how}{after}")
    if ends and again:
        later = again[0].at - struck.at
        return Verdict(
            outcome="rerun",
            text=f"rerun after {later:.1f} s",
            detail=f"executed again, completed once{after}",
            seconds=later,
        )
    if ends:
        return Verdict(
            outcome="ok", text="finished", detail=f"the attempt ran to its end{after}", seconds=ends[0].at - struck.at
        )
    return _unfinished(history, asked, len(again))


def _worker_ended(history: Sequence[Event], asked: Mapping[str, Any]) -> str:
    """What became of the worker itself, where nobody had asked it to go."""
    for event in events_of(history, asked["victim"], "worker_ended"):
        code = event.extra["exit_code"]
        if asked.get("stopped"):
            return f"; the worker's exit code was {code}" if code is not None else "; the worker did not leave in time"
        return f"; the worker itself ended with exit code {code}, a supervisor had to start it again"
    return ""


def _overlap(starts: Sequence[Event], ends: Sequence[Event]) -> bool:
    """True if two completed attempts ran at the same time; an end belongs to its process's latest start before it."""
    spans = []
    for end in ends:
        own = [start.at for start in starts if start.pid == end.pid and start.at < end.at]
        if own:
            spans.append((own[-1], end.at))
    spans.sort()
    return any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))


def _unfinished(history: Sequence[Event], asked: Mapping[str, Any], again: int) -> Verdict:
    searches = events_of(history, asked["victim"], "residual")
    places = [place for search in searches for place in search.extra["places"]]
    watched = f"{asked['window']:g} s"
    raised = events_of(history, asked["victim"], "raise")
    end = f"the attempt ended by {raised[-1].extra['error']}; " if raised else ""
    if again and not raised:
        detail = f"started again {again} times, no end"
        return Verdict(outcome="stuck", text=f"running again, not done in {watched}", detail=detail)
    for place in places:
        bound = _bound(place["name"], asked["bounds"])
        if place["state"] == "failed":
            return Verdict(outcome="failed", text="failed visibly", detail=f"{end}lies in {place['name']}; {bound}")
        if place["state"] != "data":
            detail = f"{end}lies in {place['name']}; documented bound: {bound}"
            return Verdict(outcome="stuck", text=f"not rerun in {watched}", detail=detail)
    if not searches:
        return Verdict(outcome="unknown", text="unknown", detail="the broker was not searched")
    if not sentinel_ran(history, asked):
        return Verdict(outcome="unknown", text="unknown", detail="no worker ran the sentinel job after the fault")
    names = ", ".join(place["name"] for place in places)
    where = f"in no queue, only its data is left in {names}" if names else "nowhere in the broker"
    return Verdict(outcome="lost", text="lost", detail=f"{end}not run in {watched}, and {where}")


def _bound(place: str, bounds: Mapping[str, str]) -> str:
    return next((bound for part, bound in bounds.items() if part in place), "none found")


def accounting(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """Without any fault, each of `keys` completes once."""
    ends = {key: len(events_of(history, key, "end")) for key in asked["keys"]}
    sent = [key for key in asked["keys"] if events_of(history, key, "enqueued")]
    lost = [key for key in sent if ends[key] == 0]
    double = [key for key in sent if ends[key] > 1]
    numbers = f"{len(sent)} confirmed, {len(lost)} lost, {len(double)} duplicated"
    if not sent:
        return Verdict(outcome="unknown", text="unknown", detail="no job was confirmed")
    if lost:
        text = f"{len(lost)} of {len(sent)} lost" + (f", {len(double)} duplicated" if double else "")
        return Verdict(outcome="lost", text=text, detail=numbers)
    if double:
        return Verdict(outcome="duplicated", text=f"{len(double)} of {len(sent)} duplicated", detail=numbers)
    return Verdict(outcome="ok", text=f"{len(sent)} of {len(sent)}", detail=numbers)


def unknown_task(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """A job of a task that the worker does not know (a deploy in progress) is kept somewhere, and the worker lives."""
    if verdict := refused(history, asked["victim"]):
        return verdict
    if not events_of(history, asked["victim"], "enqueued"):
        return Verdict(outcome="unknown", text="unknown", detail="the job was not confirmed")
    if not sentinel_ran(history, asked):
        return Verdict(
            outcome="wrong", text="worker stopped", detail="no later job ran: one unknown name stopped the worker"
        )
    return _unfinished(history, asked, 0)
