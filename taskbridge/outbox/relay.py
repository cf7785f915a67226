"""From the outbox to the brokers: what was committed is enqueued, then deleted, in this order."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.errors import BrokerUnavailable, StoreUnavailable
from taskbridge.handover import hand_over, restore_native
from taskbridge.identity import new_id
from taskbridge.outbox.records import record_given_up, record_queued
from taskbridge.outbox.row import to_message
from taskbridge.router import router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.message import Message
    from taskbridge.outbox.table import OutboxTable, Row

logger = logging.getLogger("taskbridge.outbox")

BATCH: Final = 500
"""Jobs that are handed over at once."""
SPAN: Final = timedelta(seconds=8)
"""How long another relay waits for one that has died."""
BUSY: Final = timedelta(milliseconds=50)
"""The rest after something was found; it doubles while nothing is, up to `IDLE`."""
IDLE: Final = timedelta(seconds=1)
ABSENT: Final = timedelta(seconds=5)
"""The rest while the database has no outbox."""
LONGEST_PAUSE: Final = timedelta(minutes=1)
"""Between two attempts at a job, or a broker, that failed; the first is 1 s, and each doubles."""
LAST_ATTEMPT: Final = 64
"""After about an hour of refusals, by a broker that answers, a row is given up: it lets others of its key pass."""
SWEEP_EVERY: Final = timedelta(minutes=10)
_TRIED_ALONE: Final = 3
"""So many jobs in a row must be refused alone for the broker to count as one that takes nothing."""


class Relay:
    """Hands on what lies in the outbox of one database. Any number may run: one at a time does.

    A death between the broker's word and the deletion sends jobs a second time, under the same ids.
    """

    def __init__(self, table: OutboxTable, *, name: str = "outbox") -> None:
        self.name = name
        self._table = table
        self._holder = new_id()
        self._exists = False
        self._held_until = 0.0
        self._rest = BUSY
        self._resting: dict[str, tuple[float, timedelta]] = {}
        self._swept = time.monotonic()

    def beat(self) -> timedelta:
        """Hand one batch on; how long the relay may rest."""
        self._exists = self._exists or self._table.exists()
        if not self._exists:
            return ABSENT
        rows = self._take()
        for alias in dict.fromkeys(row.backend for row in rows):
            self._relay(alias, [row for row in rows if row.backend == alias])
        if len(rows) == BATCH:
            return timedelta(0)
        self._sweep_if_due()
        self._rest = BUSY if rows else min(self._rest * 2, IDLE)
        return self._rest

    def close(self) -> None:
        """Let another relay begin at once."""
        if self._held_until:
            self._table.release(self._holder)
        self._table.close()

    def _take(self) -> list[Row]:
        now = time.monotonic()
        resting = [alias for alias, (until, _) in self._resting.items() if until > now]
        # An idle relay only reads.
        if not self._held_until and not self._table.waiting(1, without=resting):
            return []
        if not self._hold():
            return []
        rows = self._table.waiting(BATCH, without=resting)
        if not rows:
            self._release()
        return rows

    def _hold(self) -> bool:
        begun = time.monotonic()
        if self._held_until - begun > SPAN.total_seconds() / 2:
            return True
        is_held = self._table.hold(self._holder, SPAN)
        self._held_until = begun + SPAN.total_seconds() if is_held else 0.0
        return is_held

    def _release(self) -> None:
        self._held_until = 0.0
        self._table.release(self._holder)

    def _relay(self, alias: str, rows: Sequence[Row]) -> None:
        try:
            batch, alone = self._read(rows)
            # What was written after a suspect of its key waits for the next beat.
            suspected = {row.ordering_key for row, _ in alone} - {None}
            self._send_together(alias, [item for item in batch if item[0].ordering_key not in suspected])
            self._send_alone(alias, alone)
        except (BrokerUnavailable, StoreUnavailable) as error:
            self._let_rest(alias, error)
        else:
            self._resting.pop(alias, None)

    def _read(self, rows: Sequence[Row]) -> tuple[list[tuple[Row, Message]], list[tuple[Row, Message]]]:
        """What may be sent together, and what was refused before; a row that cannot be read is given up."""
        batch: list[tuple[Row, Message]] = []
        alone: list[tuple[Row, Message]] = []
        for row in rows:
            try:
                message = to_message(row.message)
            except (msgspec.MsgspecError, UnicodeError) as error:
                self._give_up(row, error)
            else:
                (alone if row.attempts else batch).append((row, message))
        return batch, alone

    def _send_together(self, alias: str, batch: Sequence[tuple[Row, Message]]) -> None:
        if not batch or not self._hold():
            return
        try:
            self._send(alias, batch)
        except (BrokerUnavailable, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - which of them is to blame shows when each is sent alone
            if len(batch) == 1:
                self._refused(*batch[0], error)
            else:
                self._send_alone(alias, batch)
            return
        self._sent(batch)

    def _send_alone(self, alias: str, suspects: Sequence[tuple[Row, Message]]) -> None:
        blocked: set[str] = set()
        failed = 0
        for row, message in suspects:
            if row.ordering_key in blocked:
                continue
            if not self._hold():
                return
            try:
                self._send(alias, [(row, message)])
            except (BrokerUnavailable, StoreUnavailable):
                raise
            except Exception as error:
                failed += 1
                self._refused(row, message, error)
                if row.ordering_key is not None:
                    blocked.add(row.ordering_key)
                if failed == _TRIED_ALONE:
                    raise BrokerUnavailable(f"{alias} takes nothing: {error}", maybe_accepted=False) from error
            else:
                failed = 0
                self._sent([(row, message)])

    def _send(self, alias: str, batch: Sequence[tuple[Row, Message]]) -> None:
        record_queued(alias, batch)
        messages, backend = [message for _, message in batch], router.backend(alias)
        restore_native(messages, backend)
        hand_over(messages, backend, alias, lambda: router.store(alias))

    def _sent(self, batch: Sequence[tuple[Row, Message]]) -> None:
        self._table.delete([row.position for row, _ in batch])

    def _refused(self, row: Row, message: Message, error: Exception) -> None:
        if row.attempts + 1 >= LAST_ATTEMPT:
            self._give_up(row, error)
            return
        logger.warning("The job %s of %s was refused and will be tried again: %s", message.id, row.task, error)
        self._table.refused(row, error, pause=_pause(row.attempts))

    def _give_up(self, row: Row, error: Exception) -> None:
        record_given_up(row, error)
        logger.error("The job %s of %s is given up; taskbridge outbox retry %s: %s", row.id, row.task, row.id, error)
        self._table.give_up(row, error)

    def _let_rest(self, alias: str, error: Exception) -> None:
        _, pause = self._resting.get(alias, (0.0, timedelta(seconds=0.5)))
        pause = min(pause * 2, LONGEST_PAUSE)
        self._resting[alias] = (time.monotonic() + pause.total_seconds(), pause)
        logger.warning("The jobs for %s wait in the outbox, looked at again in %s: %s", alias, pause, error)

    def _sweep_if_due(self) -> None:
        if time.monotonic() - self._swept >= SWEEP_EVERY.total_seconds():
            self._swept = time.monotonic()
            self._table.sweep()


def _pause(attempts: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(attempts, 10)), LONGEST_PAUSE)
