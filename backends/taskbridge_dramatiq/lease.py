"""A worker's lease on what it holds: renewed by a thread of its own, however long a task runs or a consumer waits."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from redis.exceptions import RedisError

from taskbridge.process.liveness import NOWHERE, fate, own_mark, own_place
from taskbridge_dramatiq.beat import BEAT
from taskbridge_dramatiq.scripts import LEAVE, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis

logger = logging.getLogger("taskbridge.dramatiq")

BEATS_PER_LEASE: Final = 8
LOOKS: Final = 5
"""A worker is late, then each beat of anybody looks: at the fifth look its lease is over."""
BETWEEN_LOOKS: Final = 0.9 / BEATS_PER_LEASE
LATE: Final = 1 - (LOOKS - 1) * BETWEEN_LOOKS
"""Both are parts of a lease. It is over after its whole length, and no sooner."""
NATIVE_SILENCE_SECONDS: Final = 65
"""Dramatiq's own workers are dead for one another after 60 s without a command; the clocks may differ a little."""
_SILENT_AT_ONCE: Final = 100


class Lease:
    """What a worker has in Redis while it lives. Lost if it was silent for `seconds`: the worker then takes another."""

    def __init__(self, client: Redis, namespace: str, *, seconds: float, dead_letter_milliseconds: int) -> None:
        self.id = _new_id()
        self.seconds = seconds
        self._client = client
        self._namespace = namespace
        self._dead_letter_milliseconds = dead_letter_milliseconds
        self._queues: dict[str, bool] = {}
        """Those whose lease is asked for, and whether it is given."""
        self._asked = threading.Event()
        self._changed = threading.Condition()
        self._renewed_at = float("-inf")
        self._offset = 0
        self._thread: threading.Thread | None = None
        self._is_over = False

    def serve(self, queue_name: str, /) -> None:
        """Hold the lease for one queue more."""
        self._queues.setdefault(queue_name, False)
        self._asked.set()

    def start(self) -> None:
        """Renew the lease from now on, and return what dead workers held."""
        self._is_over = False
        self.id = _new_id()
        self._thread = threading.Thread(target=self._run, name="taskbridge-lease", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Give back the lease, and all that is held under it."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._asked.set()
        if self._thread is not None:
            self._thread.join(timeout=self.seconds)
        try:
            LEAVE(self._client, (self._namespace,), self.id, *self._queues)
        except RedisError as error:
            logger.warning("What this worker holds returns %g s from now, since Redis is away: %s", self.seconds, error)

    def disconnect(self) -> None:
        """Give back the connection. The lease may be used again."""
        self._client.connection_pool.disconnect()

    def holds(self, lease_id: str, /) -> bool:
        """Whether what was fetched under `lease_id` is this worker's. Waits while only Redis knows.

        False also when the worker ends before that is known.
        """
        while lease_id == self.id and not self._is_over:
            if time.monotonic() - self._renewed_at < self.seconds:
                return True
            with self._changed:
                self._changed.wait(timeout=1)
        return False

    def _run(self) -> None:
        pause = self.seconds / BEATS_PER_LEASE
        while not self._is_over:
            self._asked.clear()
            started = time.monotonic()
            try:
                self._beat(started)
            except RedisError as error:
                logger.warning("The lease is not renewed: %s", error)
            except Exception:
                logger.exception("The lease is not renewed.")
            self._asked.wait(timeout=max(0.0, pause - (time.monotonic() - started)))

    def _beat(self, started: float) -> None:
        if not self._queues:
            return
        gone = [each for each in self._renew(started) if fate(each.removeprefix(PREFIX)) == "dead"]
        if gone:
            self._renew(started, gone=gone)

    def _renew(self, started: float, *, gone: Sequence[str] = ()) -> Iterator[str]:
        """Renew, and return what the dead held, with those that are `gone`. Our other workers of this machine."""
        queues = dict(self._queues)
        is_held, returned, silent, neighbours = BEAT(
            self._client, (self._namespace,),
            self.id, math.ceil(self.seconds * LATE * 1000), NATIVE_SILENCE_SECONDS * 1000,
            LOOKS, math.ceil(self.seconds * BETWEEN_LOOKS * 1000), self._offset, self._dead_letter_milliseconds,
            f"{PREFIX}{own_place() or NOWHERE}-", ",".join(gone),
            *(part for queue, is_given in queues.items() for part in (queue, int(not is_given))),
        )  # fmt: skip
        with self._changed:
            if is_held:
                self._renewed_at = started
                self._queues.update(dict.fromkeys(queues, True))
            else:
                logger.error("This worker was silent for %g s, and others took over what it held.", self.seconds)
                self._queues = dict.fromkeys(self._queues, False)
                self.id = _new_id()
                self._asked.set()
            self._changed.notify_all()
        if returned:
            logger.warning("%d messages of dead workers returned to their queues.", returned)
        self._offset = self._offset + _SILENT_AT_ONCE if silent >= _SILENT_AT_ONCE else 0
        return map(bytes.decode, neighbours)


def _new_id() -> str:
    return f"{PREFIX}{own_mark()}-{uuid4()}"
