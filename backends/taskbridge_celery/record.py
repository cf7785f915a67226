"""What Celery does on each broker, and what TaskBridge adds."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

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

CONSUMER_OPTION: Final = "consumer_timeout"
CONSUMER_TIMEOUT: Final = timedelta(minutes=30)
"""RabbitMQ's own default: a worker that holds a message for longer loses its channel. No client can read the value."""


HELD: Final = timedelta(minutes=1)
"""With a store to wait in: who holds a job keeps it from workers that would be free when it is due."""


def record(
    *,
    is_redis: bool,
    has_confirms: bool,
    max_priority: int,
    has_main_thread: bool,
    hold: timedelta,
    has_store: bool,
    is_strict: bool,
    lease: timedelta,
    has_leases: bool,
) -> Capabilities:
    """With workers that TaskBridge runs."""
    return Capabilities(
        at_least_once=_at_least_once_on_redis(lease, has_leases) if is_redis else _at_least_once(has_confirms),
        at_most_once=(
            emulated(AtMostOnce, cost="one write to the store before the body")
            if has_store
            else refused(
                "it needs a store to claim the start of a job in. Name one, for example ?store=redis://host/0."
            )
        ),
        effectively_once=(
            emulated(EffectivelyOnce, cost=KEY_COST)
            if has_store
            else refused("it needs a store to keep keys in. Name one, for example ?store=redis://host/0.")
        ),
        retry=emulated(
            Retries,
            cost="one message more for each further attempt, which a worker holds until it is due",
            ceiling=min(HELD, hold / 2) if has_store else None,
            beyond=WAITS_IN_STORE if has_store else None,
        ),
        timeout=_timeout(is_redis, hold),
        prompt_timeout=(
            native("an attempt has its process's main thread, where a signal interrupts a blocking call")
            if has_main_thread
            else refused("thread workers: a blocking call is not interrupted. Use ?pool=prefork.")
        ),
        expires=emulated(Expiry, cost="a comparison before each attempt"),
        run_after=_run_after(is_redis, hold, has_store=has_store, is_strict=is_strict),
        priority=_priority(is_redis, max_priority),
        result=(
            emulated(Results, cost="three writes a job to the store")
            if has_store
            else refused(
                "Neither RabbitMQ nor the Sentinels of an app of yours hold results. Name a store, for example ?store=redis://host/0."
            )
        ),
        cancel=(
            emulated(Cancellations, cost=CANCEL_COST)
            if has_store
            else refused(
                "a revoke of Celery's is forgotten when its workers stop. Name a store, for example ?store=redis://host/0."
            )
        ),
        terminate=(
            emulated(Termination, cost=TERMINATE_COST)
            if has_store
            else refused("the wish is kept in a store. Name one, for example ?store=redis://host/0.")
        ),
        dead_letters=(
            emulated(DeadLetters, cost="one write to the store for a job that fails for good")
            if has_store
            else refused("Celery logs what failed and drops it. Name a store, for example ?store=redis://host/0.")
        ),
        context=native("a header more of Celery's message"),
    )


def native_record(*, is_redis: bool, max_priority: int, hold: timedelta) -> Capabilities:
    """Under `?workers=native`: what an unmodified Celery worker does exactly."""
    ours = "a Celery worker that TaskBridge does not run has no such thing. Take ?workers=native out"
    theirs = "the workers' own acks_late says when a job is acknowledged, and no message can. Take ?workers=native out."
    return Capabilities(
        at_least_once=refused(theirs),
        at_most_once=refused(theirs),
        effectively_once=refused(f"{ours}."),
        retry=refused(f"{ours}, or keep the retries of the Celery task itself."),
        timeout=refused(f"{ours}, or give Celery's own: native={{'celery': {{'soft_time_limit': 5}}}}."),
        prompt_timeout=refused(f"{ours}."),
        expires=native("Celery's own header; the job ends as REVOKED, and RabbitMQ may drop it without a trace"),
        run_after=_run_after(is_redis, hold, has_store=None),
        priority=_priority(is_redis, max_priority),
        result=refused(f"{ours}, or read Celery's own results."),
        cancel=refused(f"{ours}, or use Celery's own revoke."),
        terminate=refused(f"{ours}, or use Celery's own revoke(terminate=True)."),
        dead_letters=refused(f"{ours}; Celery logs what failed and drops it."),
        context=refused(f"{ours}."),
    )


def _at_least_once_on_redis(lease: timedelta, has_leases: bool) -> Support:
    if not has_leases:
        return refused(
            "this version of Kombu does not fit TaskBridge's transport, and its own takes a message from its Redis "
            "list and notes it as unacknowledged in two steps: a worker that dies between them loses it. Install the "
            "Kombu that TaskBridge names, or use celery+amqp."
        )
    seconds = int(lease.total_seconds()) + 2
    return native(
        f"taken and registered in one step; what a dead worker held runs again within {seconds} s (?lease=), and what "
        f"a live one holds is renewed"
    )


def _at_least_once(has_confirms: bool) -> Support:
    if not has_confirms:
        return refused(
            "the app's workers publish retries without a confirmation, so that a broker's crash loses them. Set "
            "broker_transport_options = {'confirm_publish': True} in the app."
        )
    return native(
        "acknowledged after the run; a dead process's job is published again after 1 s, and RabbitMQ gives a dead "
        "worker's jobs to another as soon as their connection has ended. Executions that crash are counted in a header "
        "and, of redelivered jobs, on a queue"
    )


def _timeout(is_redis: bool, hold: timedelta) -> Support:
    cost = "a timer for each attempt with a limit"
    if is_redis:
        return emulated(Deadline, cost=cost)
    return emulated(
        Deadline,
        cost=f"{cost}, of at most RabbitMQ's consumer_timeout: raise that on the server and say so, ?consumer_timeout=",
        ceiling=hold,
    )


def _run_after(is_redis: bool, hold: timedelta, *, has_store: bool | None, is_strict: bool = False) -> Support:
    """`has_store` is None where a store would be of no use."""
    safe = hold / 2
    limit, option = ("visibility timeout", "visibility_timeout") if is_redis else ("consumer timeout", CONSUMER_OPTION)
    held = f"a worker holds the job until it is due, within half of the broker's {limit} of {hold}"
    if has_store and is_strict:
        return native(held, ceiling=safe, beyond=WAITS_IN_STORE)
    if has_store:
        held = f"a worker holds the job until it is due, for {min(HELD, safe)} at most"
        return native(f"{held}; {WAITS_IN_STORE}", ceiling=min(HELD, safe), beyond=WAITS_IN_STORE)
    remedy = f"Enqueue it later, or raise ?{option}="
    return native(f"{held}. {remedy if has_store is None else f'{remedy}, or name a store: ?store='}", ceiling=safe)


def _priority(is_redis: bool, max_priority: int) -> Support:
    if is_redis:
        return native("four lists: above 0, 0, down to -50, below; served in this order")
    if max_priority:
        return native(f"x-max-priority: -100..100 becomes 0..{max_priority}, in proportion")
    return refused(
        "a RabbitMQ queue has priorities only if it was made with them. Write ?priority=10; an existing queue has to "
        "be deleted first."
    )
