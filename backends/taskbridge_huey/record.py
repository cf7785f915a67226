"""What Huey does on each storage, and what TaskBridge adds."""

from __future__ import annotations

from taskbridge.capability import Capabilities, Support, emulated, native, refused
from taskbridge.worker import (
    CANCEL_COST,
    KEY_COST,
    TERMINATE_COST,
    AtMostOnce,
    Cancellations,
    DeadLetters,
    Deadline,
    EffectivelyOnce,
    Expiry,
    Results,
    Retries,
    Termination,
)


def record(*, has_priority: bool, has_processes: bool, has_claims: bool, has_store: bool) -> Capabilities:
    """With workers that TaskBridge runs."""
    return Capabilities(
        at_least_once=_at_least_once(has_claims=has_claims),
        at_most_once=_at_most_once(has_store=has_store),
        effectively_once=_effectively_once(has_store=has_store),
        retry=emulated(Retries, cost="the job goes through Huey's schedule, which is looked at each second"),
        timeout=emulated(Deadline, cost="a timer for each attempt with a limit"),
        prompt_timeout=(
            native("an attempt has its process's main thread, where a signal interrupts a blocking call")
            if has_processes
            else refused("thread workers: a blocking call is not interrupted. Use ?worker_type=process.")
        ),
        expires=emulated(Expiry, cost="a comparison before each attempt"),
        run_after=native("Huey's schedule, which is looked at each second"),
        priority=_priority(has_priority),
        result=_result(has_store=has_store),
        cancel=_cancel(has_store=has_store),
        terminate=_terminate(has_store=has_store),
        dead_letters=_dead_letters(has_store=has_store),
        context=native("a member more of our JSON message"),
    )


def native_record(*, has_priority: bool) -> Capabilities:
    """Under `?workers=native`: what an unmodified Huey consumer does exactly."""
    ours = "a Huey consumer that TaskBridge does not run has no such thing. Take ?workers=native out"
    return Capabilities(
        at_least_once=refused(f"{_THEIRS} Take ?workers=native out."),
        at_most_once=native("a task is deleted from the storage before it runs"),
        effectively_once=refused(f"{ours}."),
        retry=refused(f"{ours}, or keep the retries of the Huey task itself."),
        timeout=refused(f"{ours}, or keep the timeout of the Huey task itself."),
        prompt_timeout=refused(f"{ours}."),
        expires=native("Huey's own, which its consumer compares before each run, unless its Huey says utc=False"),
        run_after=native("Huey's schedule, which is looked at each second, unless the consumer's Huey says utc=False"),
        priority=_priority(has_priority),
        result=refused(f"{ours}, or read Huey's own results through Huey."),
        cancel=refused(f"{ours}, or use Huey's own revoke."),
        terminate=refused(f"{ours}."),
        dead_letters=refused(f"{ours}, or watch for Huey's own signals."),
        context=refused(f"{ours}."),
    )


_THEIRS = "Huey's own consumer deletes a task from its storage before it runs it, so a worker's death loses it."


def _at_least_once(*, has_claims: bool) -> Support:
    if has_claims:
        return native(
            "a job is claimed, and removed after its run: a dead worker's jobs run again within 10 s, and at once on "
            "the same machine"
        )
    return refused(
        "This storage is none that TaskBridge can claim from, and Huey deletes a task before it runs it. Give an "
        "instance on Huey's Redis or SQLite storage."
    )


def _at_most_once(*, has_store: bool) -> Support:
    if has_store:
        return emulated(AtMostOnce, cost="one write to the store before the body")
    return refused(
        "It needs a store to claim the start of a job in, and a Huey instance of yours names no server for one. Write "
        "HueyBackend(huey=..., store=URL)."
    )


def _effectively_once(*, has_store: bool) -> Support:
    if has_store:
        return emulated(EffectivelyOnce, cost=KEY_COST)
    return refused(
        "It needs a store to keep keys in, and a Huey instance of yours names no server for one. Write "
        "HueyBackend(huey=..., store=URL)."
    )


def _result(*, has_store: bool) -> Support:
    if has_store:
        return emulated(Results, cost="three writes a job to the store")
    return refused("A Huey instance of yours names no server for results. Write HueyBackend(huey=..., store=URL).")


def _cancel(*, has_store: bool) -> Support:
    if has_store:
        return emulated(Cancellations, cost=CANCEL_COST)
    return refused("A Huey instance of yours names no server for a store. Write HueyBackend(huey=..., store=URL).")


def _terminate(*, has_store: bool) -> Support:
    if has_store:
        return emulated(Termination, cost=TERMINATE_COST)
    return refused("A Huey instance of yours names no server for a store. Write HueyBackend(huey=..., store=URL).")


def _dead_letters(*, has_store: bool) -> Support:
    if has_store:
        return emulated(DeadLetters, cost="one write to the store for a job that fails for good")
    return refused("A Huey instance of yours names no server for a store. Write HueyBackend(huey=..., store=URL).")


def _priority(has_priority: bool) -> Support:
    if has_priority:
        return native("any whole number, larger first")
    return refused("Huey's Redis list has no order but age. Write ?priority=yes for its sorted set.")
