"""Checkers: pure functions from a history and what was asked to a verdict. They see no engine, broker or clock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge_compare.ledger import Event

Outcome = Literal[
    "ok",  # what the question hopes for, at once
    "rerun",  # executed again after the fault, and completed once
    "failed",  # not executed again, and visible as failed where the engine's users look
    "stuck",  # still stored, but nothing moved it in the time that was watched
    "lost",  # no completed execution, and nowhere in the broker
    "duplicated",  # completed more than once
    "approximate",  # executed near what was asked, by the engine's own jitter or rounding
    "wrong",  # executed, but not as asked
    "refused",  # the engine refuses the option, in words
    "none",  # the engine has no such thing
    "inapplicable",  # the question makes no sense here; the text says why
    "unknown",  # the run cannot answer
]
GOOD: frozenset[Outcome] = frozenset({"ok", "rerun"})
BAD: frozenset[Outcome] = frozenset({"lost", "duplicated", "stuck", "wrong"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a history says: an outcome, a few words for a cell, a sentence for who looks closer, and any seconds."""

    outcome: Outcome
    text: str
    detail: str = ""
    seconds: float | None = None

    def plain(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "text": self.text, "detail": self.detail, "seconds": self.seconds}


def _of(history: Sequence[Event], key: str, kind: str) -> list[Event]:
    return [event for event in history if event.key == key and event.kind == kind]


def refused(history: Sequence[Event], key: str) -> Verdict | None:
    """A verdict if the engine refused the enqueue of this job."""
    for event in _of(history, key, "refused"):
        words = f"{event.extra['error']}: {event.extra['message']}"
        return Verdict(outcome="refused", text="refused", detail=words)
    return None


def _sentinel_ran(history: Sequence[Event], asked: Mapping[str, Any]) -> bool:
    return bool(_of(history, asked["sentinel"], "end"))


def crash(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """After a fault in the middle of an attempt: asked holds `victim`, `sentinel`, `window` (s) and `bounds`."""
    victim = asked["victim"]
    if asked.get("inapplicable"):
        return Verdict(outcome="inapplicable", text="not applicable", detail=asked["inapplicable"])
    if verdict := refused(history, victim):
        return verdict
    faults, starts, ends = (_of(history, victim, kind) for kind in ("fault", "start", "end"))
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
    for event in _of(history, asked["victim"], "worker_ended"):
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
    searches = _of(history, asked["victim"], "residual")
    places = [place for search in searches for place in search.extra["places"]]
    watched = f"{asked['window']:g} s"
    raised = _of(history, asked["victim"], "raise")
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
    if not _sentinel_ran(history, asked):
        return Verdict(outcome="unknown", text="unknown", detail="no worker ran the sentinel job after the fault")
    names = ", ".join(place["name"] for place in places)
    where = f"in no queue, only its data is left in {names}" if names else "nowhere in the broker"
    return Verdict(outcome="lost", text="lost", detail=f"{end}not run in {watched}, and {where}")


def _bound(place: str, bounds: Mapping[str, str]) -> str:
    return next((bound for part, bound in bounds.items() if part in place), "none found")


def accounting(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """Without any fault, each of `keys` completes once."""
    ends = {key: len(_of(history, key, "end")) for key in asked["keys"]}
    sent = [key for key in asked["keys"] if _of(history, key, "enqueued")]
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


def retry_curve(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """A job that always fails: `retries` more attempts, `delay` s apart, none earlier than that."""
    if verdict := refused(history, asked["victim"]):
        return verdict
    starts = _of(history, asked["victim"], "start")
    gaps = [after.at - before.at for before, after in itertools.pairwise(starts)]
    curve = " ".join(f"{gap:.1f}" for gap in gaps)
    wanted, delay = asked["retries"], asked["delay"]
    if not starts:
        return Verdict(outcome="unknown", text="unknown", detail="the job was never started")
    if not gaps:
        detail = f"one attempt in {asked['window']:g} s where {wanted} retries were asked for"
        return Verdict(outcome="none", text="no retry", detail=detail)
    detail = f"{len(gaps)} retries of {wanted} asked for, {curve} s apart where {delay:g} s were asked for"
    early = [gap for gap in gaps if gap < delay - 0.05]
    if len(gaps) != wanted:
        return Verdict(outcome="wrong", text=f"{len(gaps)} of {wanted} retries", detail=detail, seconds=gaps[0])
    if early:
        near = min(early) >= delay / 2 - 0.05
        return Verdict(
            outcome="approximate" if near else "wrong", text=f"early: {curve} s", detail=detail, seconds=min(gaps)
        )
    return Verdict(outcome="ok", text=f"{curve} s", detail=detail, seconds=max(gaps))


def time_limit(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """A job that runs `body` s under a limit of `limit` s is stopped."""
    if verdict := refused(history, asked["victim"]):
        return verdict
    starts, ends, raises = (_of(history, asked["victim"], kind) for kind in ("start", "end", "raise"))
    if not starts:
        return Verdict(outcome="unknown", text="unknown", detail="the job was never started")
    if ends:
        ran = ends[0].at - starts[0].at
        detail = f"ran {ran:.1f} s to its end under a limit of {asked['limit']:g} s"
        if asked.get("no_option"):
            return Verdict(outcome="none", text="no time limit", detail=f"{detail}; {asked['no_option']}", seconds=ran)
        return Verdict(outcome="wrong", text="not enforced", detail=detail, seconds=ran)
    more = f"; started again {len(starts) - 1} times" if len(starts) > 1 else ""
    if raises:
        after = raises[0].at - starts[0].at
        text = f"stopped after {after:.1f} s"
        return Verdict(
            outcome="ok", text=text, detail=f"{raises[0].extra.get('error')} raised in the task{more}", seconds=after
        )
    if _sentinel_ran(history, asked):
        detail = f"killed without an exception in the task{more}"
        return Verdict(outcome="ok", text="killed", detail=detail)
    return Verdict(outcome="unknown", text="unknown", detail="no end, no exception, and no sentinel ran after it")


def expiry(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """A job that waited longer than `expires` s never starts."""
    if verdict := refused(history, asked["victim"]):
        return verdict
    sent = _of(history, asked["victim"], "enqueued")
    starts = _of(history, asked["victim"], "start")
    if not sent:
        return Verdict(outcome="unknown", text="unknown", detail="the job was not confirmed")
    if starts:
        late = starts[0].at - sent[0].at - asked["expires"]
        if late < 0:
            return Verdict(outcome="unknown", text="unknown", detail="a worker took the job before it could expire")
        detail = f"started {late:.1f} s after its expiry"
        return Verdict(outcome="wrong", text=f"ran {late:.1f} s too late", detail=detail, seconds=late)
    if _sentinel_ran(history, asked):
        return Verdict(outcome="ok", text="not run", detail="the job behind it ran; it did not")
    return Verdict(outcome="unknown", text="unknown", detail="no later job ran either")


def priority(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """Jobs that wait when the worker starts run by rank. `order` is [[key, rank], ...] as enqueued; larger sooner."""
    order: list[tuple[str, int]] = [(key, rank) for key, rank in asked["order"]]
    for key, _ in order:
        if verdict := refused(history, key):
            return verdict
    started = {key: starts[0].at for key, _ in order if (starts := _of(history, key, "start"))}
    missing = len(order) - len(started)
    order = [(key, rank) for key, rank in order if key in started]
    ran = [rank for key, rank in sorted(order, key=lambda pair: started[pair[0]])]
    shown = " ".join(str(rank) for rank in ran)
    detail = f"enqueued as {' '.join(str(rank) for _, rank in order)}, ran as {shown} (larger should run sooner)"
    if len(set(ran)) < 2:
        return Verdict(outcome="unknown", text="unknown", detail=f"{missing} of the waiting jobs never ran")
    if ran == sorted(ran, reverse=True) and missing:
        return Verdict(outcome="lost", text=f"{missing} never ran", detail=f"{missing} never ran; {detail}")
    if ran == sorted(ran, reverse=True):
        return Verdict(outcome="ok", text="honoured", detail=detail)
    if ran == sorted(ran):
        return Verdict(outcome="wrong", text="inverted", detail=detail)
    if ran == [rank for _, rank in order]:
        return Verdict(outcome="wrong", text="ignored", detail=detail)
    return Verdict(outcome="wrong", text=f"blurred: {shown}", detail=detail)


def delay(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """A job due `delay` s after its enqueue starts then: never before, and how late."""
    if verdict := refused(history, asked["victim"]):
        return verdict
    asked_at = _of(history, asked["victim"], "enqueue")
    confirmed = _of(history, asked["victim"], "enqueued")
    starts = _of(history, asked["victim"], "start")
    if not confirmed:
        return Verdict(outcome="unknown", text="unknown", detail="the job was not confirmed")
    if not starts:
        watched = f"{asked['window']:g} s"
        return Verdict(
            outcome="stuck", text=f"not run in {watched}", detail=f"due after {asked['delay']:g} s, never ran"
        )
    # The engine read its clock somewhere between the call and its return: early is judged against the first.
    early = starts[0].at - asked_at[0].at - asked["delay"]
    late = starts[0].at - confirmed[0].at - asked["delay"]
    if early < -0.005:
        return Verdict(outcome="wrong", text=f"{-early:.2f} s early", detail="started before it was due", seconds=early)
    return Verdict(
        outcome="ok", text=f"{max(late, 0.0):.2f} s late", detail=f"due after {asked['delay']:g} s", seconds=late
    )


def unknown_task(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """A job of a task that the worker does not know (a deploy in progress) is kept somewhere, and the worker lives."""
    if verdict := refused(history, asked["victim"]):
        return verdict
    if not _of(history, asked["victim"], "enqueued"):
        return Verdict(outcome="unknown", text="unknown", detail="the job was not confirmed")
    if not _sentinel_ran(history, asked):
        return Verdict(
            outcome="wrong", text="worker stopped", detail="no later job ran: one unknown name stopped the worker"
        )
    return _unfinished(history, asked, 0)
