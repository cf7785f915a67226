"""The duty of long delays: what waits in the store is handed over when it is due."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.errors import BrokerUnavailable
from taskbridge.handover import restore_native
from taskbridge.router import router

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.backend import Backend
    from taskbridge.scheduler.duty import Duty
    from taskbridge.store import Claimed, WaitingStore

logger = logging.getLogger("taskbridge.scheduler")

BATCH: Final = 1_000
"""Jobs that are handed over at once."""
SPAN: Final = timedelta(seconds=30)
"""After this time a job is due again whose releaser has died; longer than an enqueue takes to fail."""
LONGEST_REST: Final = timedelta(seconds=1)
"""How often the store is asked: a job that comes late to it with a short delay is late by as much."""


class Release:
    """Hands over the jobs of one backend that are due, oldest first.

    A job is claimed, enqueued, and forgotten once the broker has accepted it. A releaser that dies before that has its
    jobs handed over again, under the same ids: never lost, and twice if the broker had them already.
    """

    def __init__(self, alias: str, store: WaitingStore) -> None:
        self.name = f"release:{alias}"
        self._alias = alias
        self._store = store

    def beat(self) -> timedelta:
        """Hand over one batch, if any is due."""
        left = self._store.until_due(self._alias)
        if left is None or left > timedelta(0):
            return LONGEST_REST if left is None else min(left, LONGEST_REST)
        claimed = self._store.claim_due(self._alias, limit=BATCH, span=SPAN)
        if not claimed.messages:
            return LONGEST_REST
        backend = router.backend(self._alias)
        restore_native(claimed.messages, backend)
        self._enqueue(claimed, backend)
        return timedelta(0)

    def _enqueue(self, claimed: Claimed, backend: Backend) -> None:
        try:
            backend.enqueue(claimed.messages)
        except BrokerUnavailable as error:
            if not error.maybe_accepted:
                self._store.give_back(claimed)
            raise
        except Exception:
            if len(claimed.messages) == 1:
                raise
            self._enqueue_singly(claimed, backend)
        else:
            self._store.handed_over(claimed)

    def _enqueue_singly(self, claimed: Claimed, backend: Backend) -> None:
        """So that one which the backend does not take holds up no other; it is tried again when its claim ends."""
        for message in claimed.messages:
            single = msgspec.structs.replace(
                claimed, messages=(message,), tokens={message.id: claimed.tokens[message.id]}
            )
            try:
                self._enqueue(single, backend)
            except BrokerUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever one job is refused for
                logger.error("The job %s is due, and %s does not take it: %s", message.id, self._alias, error)  # noqa: TRY400 - as for any enqueue, the words say what is wrong


def releases(alias: str, store: WaitingStore | None, /) -> Iterator[Duty]:
    """The duty, where delays have to wait at all."""
    record = router.backend(alias).capabilities
    if store is not None and (record.run_after.beyond is not None or record.retry.beyond is not None):
        yield Release(alias, store)
