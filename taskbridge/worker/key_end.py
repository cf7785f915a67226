"""What becomes of a key when its execution has ended, in one write with the record of that end where there is one."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from taskbridge.errors import StoreUnavailable
from taskbridge.worker.key_keeper import repeat, settle_soon
from taskbridge.worker.results import log_lost, log_refused

if TYPE_CHECKING:
    from datetime import timedelta

    from taskbridge.store import Key, NewRecord, Store, Transition

    End: TypeAlias = tuple[NewRecord, Transition] | None

logger = logging.getLogger("taskbridge.attempt")

_PAUSES: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0)
"""Seconds between the tries to record a completion: while they last, the lease does."""


def complete(store: Store, key: Key, end: End, /, *, kept: timedelta) -> None:
    """What the key stands for has been done. Repeated for 10 s if the store does not take it.

    On its way to the store's server when this returns; whether that took it is waited for only with a record.
    """
    again = partial(_complete, store, key, end, kept)
    if end is None and store.send_completion(key, kept=kept, refused=partial(repeat, again)):
        settle_soon(store)
    else:
        again()


def _complete(store: Store, key: Key, end: End, kept: timedelta) -> None:
    try:
        if not _completed(store, key, end, kept):
            logger.error("The key %s was lost to another execution before it was done here.", key.name)
    except StoreUnavailable:
        logger.exception("The key %s is done, and the store did not take that: it may be done again.", key.name)


def release(store: Store, key: Key, end: End, /) -> None:
    """It has not been done: the key is free for the next."""
    try:
        _ended(store, key, end, None)
    except StoreUnavailable as error:
        if end is not None:
            log_lost(end[1], error)
        logger.exception("The key %s could not be given back: it is free when its lease has run out.", key.name)


def _completed(store: Store, key: Key, end: End, kept: timedelta) -> bool:
    for pause in _PAUSES:
        try:
            return _ended(store, key, end, kept)
        except StoreUnavailable as error:
            lost = error
            time.sleep(pause)
    if end is not None:
        log_lost(end[1], lost)
    # Alone, in case that it is the result which cannot be stored.
    return store.complete_key(key, kept=kept)


def _ended(store: Store, key: Key, end: End, kept: timedelta | None) -> bool:
    if end is None:
        return store.release_key(key) if kept is None else store.complete_key(key, kept=kept)
    job, ended = end
    is_ours, is_recorded = store.end_with_key(key, job=job, ended=ended, kept=kept)
    if not is_ours:
        # What another execution of this job does is for that one to record; another job has its own record.
        holder = store.read_key(key.name)
        is_recorded = (holder is None or holder.job != job.id) and store.record(job, ended)
    if not is_recorded:
        log_refused(ended)
    return is_ours
