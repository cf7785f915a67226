"""What Dramatiq does for each option, and what TaskBridge adds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.capability import WAITS_IN_STORE, Capabilities, Support, emulated, native, refused
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

if TYPE_CHECKING:
    from taskbridge_dramatiq.brokers import Kind

STRANDED_CEILING: Final = timedelta(hours=1)
RECOVERY_PER_LEASE: Final = 1.25
"""A lease ends, and the next sweep finds it."""
CONSUMER_CEILING: Final = timedelta(minutes=25)
"""RabbitMQ ends a consumer that holds a message for 30 minutes, its consumer_timeout, and looks once a minute."""


def record(*, kind: Kind, has_own_consumer: bool, max_priority: int, has_store: bool, heartbeat: int) -> Capabilities:
    """The record under workers that TaskBridge runs."""
    return Capabilities(
        at_least_once=_at_least_once(kind, heartbeat, has_own_consumer=has_own_consumer),
        at_most_once=(
            emulated(AtMostOnce, cost="one write to the store before the body")
            if has_store
            else refused(
                "it needs a store to claim the start of a job in. Name one: ?store=redis://... or postgresql://"
            )
        ),
        effectively_once=(
            emulated(EffectivelyOnce, cost=KEY_COST)
            if has_store
            else refused("it needs a store to keep keys in. Name one: ?store=redis://... or postgresql://")
        ),
        retry=_waiting(
            emulated(Retries, cost=_RETRY_COST, ceiling=_run_after(kind, has_own_consumer=has_own_consumer).ceiling),
            has_store=has_store,
        ),
        timeout=emulated(
            Deadline,
            cost="a timer for each attempt with a limit" + (_CONSUMER_TIMEOUT if kind == "amqp" else ""),
            ceiling=CONSUMER_CEILING if kind == "amqp" else None,
        ),
        prompt_timeout=refused(
            "Dramatiq runs tasks in threads, with -t 1 too, where a blocking call is not interrupted. Use a backend "
            "that gives an attempt its own main thread: celery, rq or huey."
        ),
        expires=emulated(Expiry, cost="a comparison before each attempt"),
        run_after=_waiting(_run_after(kind, has_own_consumer=has_own_consumer), has_store=has_store),
        priority=_priority(kind, max_priority),
        result=(
            emulated(Results, cost="three writes a job to the store")
            if has_store
            else refused("this backend's broker cannot hold results. Name a store: ?store=redis://... or postgresql://")
        ),
        cancel=(
            emulated(Cancellations, cost=CANCEL_COST)
            if has_store
            else refused("Dramatiq takes no job back. Name a store: ?store=redis://... or postgresql://")
        ),
        terminate=(
            emulated(Termination, cost=TERMINATE_COST)
            if has_store
            else refused("the wish is kept in a store. Name one: ?store=redis://... or postgresql://")
        ),
        dead_letters=(
            emulated(DeadLetters, cost="one write to the store for a job that fails for good")
            if has_store
            else refused("Dramatiq's own dead-letter queue keeps the job for 7 days. Name a store: ?store=redis://...")
        ),
        context=native("the message option `taskbridge`"),
    )


def native_record(*, kind: Kind, max_priority: int) -> Capabilities:
    """The record under `?workers=native`: only what an unmodified Dramatiq worker does exactly."""
    ours = "a Dramatiq worker that TaskBridge does not run has no such thing. Take ?workers=native out"
    return Capabilities(
        at_least_once=native("the worker acknowledges after the run; its own settings say how soon a crash is noticed"),
        at_most_once=_AT_MOST_ONCE,
        effectively_once=refused(f"{ours}."),
        retry=refused(f"{ours}, or give Dramatiq's own: native={{'dramatiq': {{'max_retries': 3}}}}."),
        timeout=refused(f"{ours}, or give Dramatiq's own: native={{'dramatiq': {{'time_limit': 5000}}}}."),
        prompt_timeout=refused(f"{ours}, and use a backend that gives an attempt its own main thread."),
        expires=native("the message option max_age; a job that is too old lands in the dead letters"),
        run_after=_run_after(kind, has_own_consumer=False),
        priority=_priority(kind, max_priority),
        result=refused(f"{ours}, or read Dramatiq's own results."),
        cancel=refused(f"{ours}."),
        terminate=refused(f"{ours}."),
        dead_letters=refused(f"{ours}, or watch Dramatiq's own dead-letter queue."),
        context=refused(f"{ours}."),
    )


_RETRY_COST = "one message more for each retry, enqueued before the old one is acknowledged"

_CONSUMER_TIMEOUT = "; RabbitMQ gives a job to another worker when one has it for 30 minutes (consumer_timeout)"

_AT_MOST_ONCE = refused(
    "Dramatiq acknowledges a job after its run, so the death of a worker repeats it. Use a backend that takes a job "
    "off its broker before it runs, such as huey+redis."
)


def _at_least_once(kind: Kind, heartbeat: int, *, has_own_consumer: bool) -> Support:
    if kind == "amqp":
        return native(
            "acknowledged after the run; RabbitMQ gives a dead worker's jobs to another at once, and within 3 minutes "
            "those of one that fell silent (the heartbeat of its connection)"
        )
    if has_own_consumer:
        return native(
            f"acknowledged after the run, under a lease that is renewed while the worker lives; a dead worker's jobs "
            f"run again within {heartbeat * RECOVERY_PER_LEASE:g} s (?heartbeat={heartbeat}) on any worker of the "
            "queue, and at once on one of the same machine"
        )
    return native(
        f"acknowledged after the run; the jobs of a dead worker are looked for {heartbeat} s after its last sign of "
        f"life, and found by chance (the broker's maintenance_chance)"
    )


def _run_after(kind: Kind, *, has_own_consumer: bool) -> Support:
    if kind == "amqp" and has_own_consumer:
        return native(
            "a worker process holds the job unacknowledged until it is due, at most 65,535 of them, and takes it anew "
            "every 10 minutes, before RabbitMQ's consumer_timeout"
        )
    if kind == "amqp":
        return native(
            "a worker holds the job unacknowledged until it is due, and RabbitMQ ends a consumer that does so for 30 "
            "minutes (consumer_timeout)",
            ceiling=CONSUMER_CEILING,
        )
    if has_own_consumer:
        return native("a worker process holds the job under its lease until it is due, at most 65,535 of them")
    return native(
        "a worker holds the job in memory until it is due, and after a lost connection does not run it until that "
        "worker is restarted, which a server named in the URL has mended",
        ceiling=STRANDED_CEILING,
    )


def _waiting(support: Support, *, has_store: bool) -> Support:
    if support.ceiling is None or not has_store:
        return support
    return replace(support, note=f"{support.note}; {WAITS_IN_STORE}", beyond=WAITS_IN_STORE)


def _priority(kind: Kind, max_priority: int) -> Support:
    if kind == "redis":
        return refused(
            "Dramatiq on Redis orders only what one worker holds already. Use a queue of its own for what is urgent, "
            "or dramatiq+amqp with ?priority=10."
        )
    if not max_priority:
        return refused("the queues have none. Write ?priority=10, before the queues exist: it is fixed in them.")
    return native(
        f"RabbitMQ's x-max-priority, -100..100 as 0..{max_priority}; what legacy code enqueues without one comes last"
    )
