"""Periodic tasks with `overlap="skip"`: a tick is not run while another of its schedule is."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.errors import StoreUnavailable
from taskbridge.message import Again, Expired
from taskbridge.worker.key_keeper import LEASE, kept_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.periodic")

WITHOUT_STORE: Final = timedelta(seconds=5)
"""When a tick is tried again of which could not be asked whether another runs."""


class Overlap:
    """Holds a key of the schedule while a tick runs, and between its attempts. Its holder is the job."""

    def __init__(self, environment: Environment, /) -> None:
        self._open_store = environment.open_store

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        tick = attempt.headers.tick
        store = self._open_store() if tick is not None and tick.is_alone else None
        if tick is None or store is None:
            return proceed(attempt)
        job_id = attempt.message.id
        try:
            key = store.claim_key(f"overlap:{tick.schedule}", job=job_id, holder=job_id, span=LEASE, waits="")
        except StoreUnavailable as error:
            logger.exception("Not started: whether another tick runs cannot be asked.")
            return Again(WITHOUT_STORE, error)
        if key.holder != job_id:
            logger.warning("Not started: another tick of %s is running, the job %s.", tick.schedule, key.job)
            return Expired(datetime.now(UTC))
        with kept_alive(store, key):
            outcome = proceed(attempt)
        try:
            if isinstance(outcome, Again):
                store.renew_keys([key], span=outcome.delay + LEASE)
            else:
                store.release_key(key)
        except StoreUnavailable:
            logger.exception("The key %s could not be given back: it is free when its lease has run out.", key.name)
        return outcome
