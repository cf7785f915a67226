"""Whether an option does what was asked: retries, time limit, expiry, priority, delay."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from taskbridge_compare.checkers.verdict import Verdict, events_of, refused, sentinel_ran

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge_compare.ledger import Event


def retry_curve(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """A job that always fails: `retries` more attempts, `delay` s apart, none earlier than that."""
    if verdict := refused(history, asked["victim"]):
        return verdict
    starts = events_of(history, asked["victim"], "start")
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
    starts, ends, raises = (events_of(history, asked["victim"], kind) for kind in ("start", "end", "raise"))
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
    if sentinel_ran(history, asked):
        detail = f"killed without an exception in the task{more}"
        return Verdict(outcome="ok", text="killed", detail=detail)
    return Verdict(outcome="unknown", text="unknown", detail="no end, no exception, and no sentinel ran after it")


def expiry(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """A job that waited longer than `expires` s never starts."""
    if verdict := refused(history, asked["victim"]):
        return verdict
    sent = events_of(history, asked["victim"], "enqueued")
    starts = events_of(history, asked["victim"], "start")
    if not sent:
        return Verdict(outcome="unknown", text="unknown", detail="the job was not confirmed")
    if starts:
        late = starts[0].at - sent[0].at - asked["expires"]
        if late < 0:
            return Verdict(outcome="unknown", text="unknown", detail="a worker took the job before it could expire")
        detail = f"started {late:.1f} s after its expiry"
        return Verdict(outcome="wrong", text=f"ran {late:.1f} s too late", detail=detail, seconds=late)
    if sentinel_ran(history, asked):
        return Verdict(outcome="ok", text="not run", detail="the job behind it ran; it did not")
    return Verdict(outcome="unknown", text="unknown", detail="no later job ran either")


def priority(history: Sequence[Event], asked: Mapping[str, Any]) -> Verdict:
    """Jobs that wait when the worker starts run by rank. `order` is [[key, rank], ...] as enqueued; larger sooner."""
    order: list[tuple[str, int]] = [(key, rank) for key, rank in asked["order"]]
    for key, _ in order:
        if verdict := refused(history, key):
            return verdict
    started = {key: starts[0].at for key, _ in order if (starts := events_of(history, key, "start"))}
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
    asked_at = events_of(history, asked["victim"], "enqueue")
    confirmed = events_of(history, asked["victim"], "enqueued")
    starts = events_of(history, asked["victim"], "start")
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
