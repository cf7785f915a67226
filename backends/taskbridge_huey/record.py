"""What Huey does on each storage, and what TaskBridge adds."""

from __future__ import annotations

from taskbridge.capability import Capabilities, Support, emulated, native, refused
from taskbridge.worker import Deadline, Expiry, Results, Retries


def record(*, has_priority: bool, has_processes: bool) -> Capabilities:
    """With workers that TaskBridge runs."""
    return Capabilities(
        at_least_once=_at_least_once(),
        at_most_once=_at_most_once(),
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
        result=emulated(Results, cost="three writes a job to the store"),
        context=native("a member more of our JSON message"),
    )


def native_record(*, has_priority: bool) -> Capabilities:
    """Under `?workers=native`: what an unmodified Huey consumer does exactly."""
    ours = "a Huey consumer that TaskBridge does not run has no such thing. Take ?workers=native out"
    return Capabilities(
        at_least_once=_at_least_once(),
        at_most_once=_at_most_once(),
        retry=refused(f"{ours}, or keep the retries of the Huey task itself."),
        timeout=refused(f"{ours}, or keep the timeout of the Huey task itself."),
        prompt_timeout=refused(f"{ours}."),
        expires=native("Huey's own, which its consumer compares before each run, unless its Huey says utc=False"),
        run_after=native("Huey's schedule, which is looked at each second, unless the consumer's Huey says utc=False"),
        priority=_priority(has_priority),
        result=refused(f"{ours}, or read Huey's own results through Huey."),
        context=refused(f"{ours}."),
    )


def _at_least_once() -> Support:
    return refused(
        "Huey deletes a task from its storage before it runs it, so a worker's death loses it. Use a backend that "
        "acknowledges after the run, such as celery+amqp or dramatiq+amqp."
    )


def _at_most_once() -> Support:
    return native("a task is deleted from the storage before it runs")


def _priority(has_priority: bool) -> Support:
    if has_priority:
        return native("any whole number, larger first")
    return refused("Huey's Redis list has no order but age. Write ?priority=yes for its sorted set.")
