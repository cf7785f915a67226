"""`delivery="effectively_once"`: what a key stands for is done by one execution, and by no other after it."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.errors import InvalidArguments, StoreUnavailable, UndecodableMessage
from taskbridge.identity import new_id
from taskbridge.key import key_maker
from taskbridge.message import Again, Done, Skipped
from taskbridge.store import transition
from taskbridge.store.key import waits_name
from taskbridge.worker.key_keeper import LEASE, kept_alive
from taskbridge.worker.results import new_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.store import Key, Store
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")

KEY_COST: Final = "a write to the store before the body and one after it"
"""What it costs on every backend."""
WITHOUT_STORE: Final = timedelta(seconds=5)
"""When a job is tried again whose key could not be asked for."""
LONGEST_WAIT: Final = timedelta(seconds=5)
"""How long a job waits at most before it asks again for a key that another execution has."""
WAITS_KEPT: Final = timedelta(days=1)
"""How long it is known, after the last of them, how often a job has waited."""
_PAUSES: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0)
"""Seconds between the tries to record a completion: while they last, the lease does."""


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
            store = self._store()
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
            _release(store, claimed)
            raise
        if isinstance(outcome, Done):
            self._complete(store, attempt, claimed)
        else:
            _release(store, claimed)
        return outcome

    def _store(self) -> Store:
        store = self._environment.open_store()
        if store is None:
            raise StoreUnavailable("this worker has no store: name one in the backend's URL, ?store=redis://...")
        return store

    def _claim(self, store: Store, attempt: Attempt, name: str, holder: str) -> Key:
        # A holder of its own for each execution: only this one's own write gets the key again when it is repeated.
        return store.claim_key(
            name,
            job=attempt.message.id,
            holder=holder,
            span=LEASE,
            waits=waits_name(attempt.message.id, attempt.headers.redrives),
        )

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
        has_result = attempt.headers.result or attempt.task.options.result
        if has_result and done.job != attempt.message.id:
            theirs = store.read(done.job)
            value = theirs.value if theirs is not None else msgspec.UNSET
            job = new_record(attempt.message, self._environment, task=attempt.task.name)
            store.record(job, transition.Skipped(at=datetime.now(UTC), value=value))
        return Skipped(done.job)

    def _complete(self, store: Store, attempt: Attempt, key: Key) -> None:
        seconds = attempt.headers.key_ttl
        kept = attempt.task.options.key_ttl if seconds is None else timedelta(seconds=seconds)
        try:
            if not _completed(store, key, kept):
                logger.error("The key %s was lost to another execution before it was done here.", key.name)
        except StoreUnavailable:
            logger.exception("The key %s is done, and the store did not take that: it may be done again.", key.name)


def _completed(store: Store, key: Key, kept: timedelta) -> bool:
    for pause in _PAUSES:
        try:
            return store.complete_key(key, kept=kept)
        except StoreUnavailable:
            time.sleep(pause)
    return store.complete_key(key, kept=kept)


def _wait(store: Store, attempt: Attempt, held: Key) -> Outcome:
    store.count(waits_name(attempt.message.id, attempt.headers.redrives), span=WAITS_KEPT)
    logger.info("Not started yet: the job %s has the key %s.", held.job, held.name)
    return Again(min(max(held.left, timedelta(seconds=0.5)), LONGEST_WAIT), None)


def _release(store: Store, key: Key) -> None:
    try:
        store.release_key(key)
    except StoreUnavailable:
        logger.exception("The key %s could not be given back: it is free when its lease has run out.", key.name)
