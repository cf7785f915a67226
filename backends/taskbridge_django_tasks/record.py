"""What TaskBridge holds on django-tasks-db, with workers of ours and with its own."""

from __future__ import annotations

from taskbridge.capability import Capabilities, emulated, native, refused
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


def record(*, has_own_workers: bool) -> Capabilities:
    """What django-tasks-db does, and what TaskBridge adds."""
    of_ours = refused("workers=native: only a worker that TaskBridge runs does it. Take workers=native out of the URL.")
    return Capabilities(
        at_least_once=(
            native(
                "each worker renews a lease in a table of ours, and gives back the jobs of dead workers within 12 s, "
                "of those on its own machine at once"
            )
            if has_own_workers
            else refused(
                "workers=native: a stock worker claims a row before it runs it, and nobody notices its death: the row "
                "stays RUNNING. Take workers=native out of the URL."
            )
        ),
        at_most_once=(
            emulated(AtMostOnce, cost="one write to the store before the body")
            if has_own_workers
            else native("a row is claimed, and that is committed, before it runs")
        ),
        effectively_once=emulated(EffectivelyOnce, cost=KEY_COST) if has_own_workers else of_ours,
        retry=emulated(Retries, cost="the row waits under the same id, as one with a run_after")
        if has_own_workers
        else of_ours,
        timeout=emulated(Deadline, cost="a timer for each attempt with a limit") if has_own_workers else of_ours,
        prompt_timeout=(
            native("an attempt is its process's main thread, where a signal interrupts a blocking call")
            if has_own_workers
            else of_ours
        ),
        expires=emulated(Expiry, cost="a comparison before each attempt") if has_own_workers else of_ours,
        run_after=native("a column, which each poll compares with the time"),
        priority=native("a column, larger first"),
        result=(
            emulated(Results, cost="three writes a job to a table of ours in the same database")
            if has_own_workers
            else refused("workers=native: the value is in the job's row. Read it by django.tasks' own get_result.")
        ),
        cancel=(
            emulated(Cancellations, cost=CANCEL_COST)
            if has_own_workers
            else native("the row is marked as failed, in one step, if no worker has claimed it")
        ),
        terminate=emulated(Termination, cost=TERMINATE_COST) if has_own_workers else of_ours,
        dead_letters=(
            emulated(DeadLetters, cost="one write to the store for a job that fails for good")
            if has_own_workers
            else of_ours
        ),
        context=native("a third member of the JSON that holds the arguments") if has_own_workers else of_ours,
    )
