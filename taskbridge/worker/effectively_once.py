"""`delivery="effectively_once"`: what a key stands for is done by one execution, and by no other after it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.errors import InvalidArguments, StoreUnavailable, UndecodableMessage
from taskbridge.identity import new_id
from taskbridge.key import key_maker
from taskbridge.message import Again, Done, Skipped
from taskbridge.store import transition
from taskbridge.store.key import waits_name
from taskbridge.worker.key_end import complete, release
from taskbridge.worker.key_keeper import LEASE, kept_alive
from taskbridge.worker.results import log_refused, record_of, start_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.store import Key, Store
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")

KEY_COST: Final = (
    "nothing for a job with results, whose records carry it; else a write to the store before the body, and one after "
    "it that need not be waited for"
)
"""What it costs on every backend."""
WITHOUT_STORE: Final = timedelta(seconds=5)
"""When a job is tried again whose key could not be asked for."""
LONGEST_WAIT: Final = timedelta(seconds=5)
"""How long a job waits at most before it asks again for a key that another execution has."""
WAITS_KEPT: Final = timedelta(days=1)
"""How long it is known, after the last of them, how often a job has waited."""


def key_name(task: str, key: str, /) -> str:
    """A key's name in the store: keys of different tasks have nothing to do with each other."""
    return f"{task}:{key}"


class EffectivelyOnce:
    """Skips a job whose key is done, and lets one wait whose key another execution has.

    A dead execution has it until its lease has run out. An attempt that fails gives it back for the next.
    """

    def __init__(self, environment: Environment, /) -> None:
        self._environment = environment

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        key = attempt.headers.key or self._declared_key(attempt)
        if not key:
            return proceed(attempt)
        holder = new_id()
        try:
            store = self._environment.store()
            claimed = self._claim(store, attempt, key_name(attempt.task.name, key), holder)
            attempt.number = max(1, attempt.number - claimed.waits)
            if claimed.done_at is not None:
                return self._skip(store, attempt, claimed)
            if claimed.holder != holder:
                return _wait(store, attempt, claimed)
        except StoreUnavailable as error:
            logger.exception("Not started: whether its key is done cannot be asked.")
            return Again(WITHOUT_STORE, error)
        attempt.fencing_token = claimed.token
        try:
            with kept_alive(store, claimed):
                outcome = proceed(attempt)
        except BaseException:
            release(store, claimed, None)
            raise
        if isinstance(outcome, Done):
            complete(store, claimed, attempt.end, kept=_kept(attempt))
        else:
            release(store, claimed, attempt.end)
        return outcome

    def _claim(self, store: Store, attempt: Attempt, name: str, holder: str) -> Key:
        # A holder of its own for each execution: only this one's own write gets the key again when it is repeated.
        job_id = attempt.message.id
        waits = waits_name(job_id, attempt.headers.redrives)
        if not attempt.has_result:
            return store.claim_key(name, job=job_id, holder=holder, span=LEASE, waits=waits)
        started = start_of(attempt)
        claimed, is_recorded = store.start_with_key(
            name,
            job=record_of(attempt, self._environment),
            started=started,
            holder=holder,
            span=LEASE,
            waits=waits,
        )
        if claimed.holder == holder and not claimed.waits:
            attempt.started_at, attempt.is_start_recorded = started.at, is_recorded
            if not is_recorded:
                log_refused(started)
        return claimed

    def _declared_key(self, attempt: Attempt) -> str:
        """The key of a job that was enqueued by legacy code, or before its task had one."""
        task = attempt.task
        if task.options.key is None:
            return ""
        make = key_maker(task)
        assert make is not None
        try:
            return make(*task.codec.decode(attempt.message.args, attempt.message.kwargs))
        except (UndecodableMessage, InvalidArguments):
            logger.exception("The job has no key and none can be made for it: nothing keeps it from running again.")
            return ""

    def _skip(self, store: Store, attempt: Attempt, done: Key) -> Outcome:
        logger.info(
            "Skipped: the key %s was done at %s by the job %s; delivery number %d that is skipped.",
            done.name,
            done.done_at,
            done.job,
            done.skipped,
        )
        if attempt.has_result and done.job != attempt.message.id:
            theirs = store.read(done.job)
            value = theirs.value if theirs is not None else msgspec.UNSET
            skipped = transition.Skipped(at=datetime.now(UTC), value=value)
            store.record(record_of(attempt, self._environment), skipped)
        return Skipped(done.job)


def _kept(attempt: Attempt) -> timedelta:
    seconds = attempt.headers.key_ttl
    return attempt.task.options.key_ttl if seconds is None else timedelta(seconds=seconds)


def _wait(store: Store, attempt: Attempt, held: Key) -> Outcome:
    store.count(waits_name(attempt.message.id, attempt.headers.redrives), span=WAITS_KEPT)
    logger.info("Not started yet: the job %s has the key %s.", held.job, held.name)
    return Again(min(max(held.left, timedelta(seconds=0.5)), LONGEST_WAIT), None)
