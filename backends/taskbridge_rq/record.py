"""What TaskBridge holds on RQ, with workers of ours and with RQ's own."""

from __future__ import annotations

from dataclasses import replace

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


def record() -> Capabilities:
    """What RQ does, and what TaskBridge adds."""
    return Capabilities(
        at_least_once=native(
            "a dead worker's jobs run again within 10 s of its last sign of life, on any worker of the queue, and at "
            "once on one of the same machine"
        ),
        at_most_once=emulated(AtMostOnce, cost="one write to the store before the body"),
        effectively_once=emulated(EffectivelyOnce, cost=KEY_COST),
        retry=emulated(Retries, cost="the job goes through RQ's schedule, which each worker looks at each second"),
        timeout=emulated(Deadline, cost="a timer for each attempt with a limit; RQ kills its process a minute later"),
        prompt_timeout=native("an attempt is its process's main thread, where a signal interrupts a blocking call"),
        expires=emulated(Expiry, cost="a comparison before each attempt"),
        run_after=native("RQ's schedule, which each worker looks at each second"),
        priority=refused(
            "an RQ queue has no order but age. Name a queue for urgent jobs, which its own workers serve: "
            "queue_name='urgent'."
        ),
        result=emulated(Results, cost="three writes a job to the store"),
        cancel=emulated(Cancellations, cost=CANCEL_COST),
        terminate=emulated(Termination, cost=TERMINATE_COST),
        dead_letters=emulated(DeadLetters, cost="one write to the store for a job that fails for good"),
        context=native("one string in the job's meta"),
    )


def native_record() -> Capabilities:
    """Under `?workers=native`: what an unmodified `rq worker` does exactly."""
    ours = "an rq worker that TaskBridge does not run has no such thing. Take ?workers=native out"
    return replace(
        record(),
        at_least_once=refused(
            "RQ files a job whose worker died under its failed jobs and does not run it again. Let TaskBridge run the "
            "workers: take ?workers=native out."
        ),
        at_most_once=native("a job leaves its queue before it runs, and one whose worker died is failed, not run"),
        effectively_once=refused(f"{ours}."),
        retry=refused(f"{ours}; RQ's own Retry has other delays, and is enqueued through RQ."),
        timeout=refused(f"{ours}; RQ's own limit raises an ordinary exception, which a task may swallow."),
        prompt_timeout=refused(f"{ours}."),
        expires=refused(f"{ours}."),
        run_after=native("RQ's schedule, if a worker runs --with-scheduler"),
        result=refused(f"{ours}, or read what RQ keeps through RQ."),
        cancel=native("the job is taken off its queue or schedule, in one step"),
        terminate=refused(f"{ours}, or use RQ's own send_stop_job_command."),
        dead_letters=refused(f"{ours}, or requeue from RQ's own failed jobs."),
        context=refused(f"{ours}."),
    )
