"""A consumer for Dramatiq's Redis broker that leaves nothing behind.

Dramatiq's own consumer forgets what it holds whenever its connection fails: a batch whose reply was lost, delayed jobs
in its memory, and a whole batch in which one message cannot be decoded stay marked as its own, and nobody runs them
while the process lives. This one knows which messages the worker was given, and returns the others. It also looks for
the jobs of dead workers at a fixed pace, where Dramatiq leaves that to chance (`maintenance_chance`).
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dramatiq import Message as DramatiqMessage
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import compute_backoff, current_millis
from dramatiq.errors import ConnectionClosed, DecodeError
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger("taskbridge.dramatiq")

SWEEPS_PER_HEARTBEAT: Final = 3
_UNPACK_SIZE: Final = 1000
"""How many expired dead letters Lua deletes at a time."""


class ReturningRedisBroker(RedisBroker):
    """Dramatiq's Redis broker with that consumer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # it has no annotations
        self._given: dict[str, set[str]] = {}

    @property
    def consumer_class(self) -> type[Consumer]:
        return ReturningConsumer

    def given(self, queue_name: str) -> set[str]:
        """The Redis ids of the messages that this process's worker was given and has not settled."""
        return self._given.setdefault(queue_name, set())


class ReturningConsumer(Consumer):
    """Fetches messages; what it fetched and could not hand on goes back to the queue, or to the dead letters."""

    def __init__(self, broker: ReturningRedisBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        self._broker = broker
        self._queue_name = queue_name
        self._prefetch = prefetch
        self._timeout = timeout
        self._fetched: list[bytes | None] = []
        self._misses = 0
        self._sweep_at = 0.0
        self._room = threading.Event()
        self._given = broker.given(queue_name)
        if queue_name in broker.delay_queues:
            # The thread that holds delayed jobs forgets them before it makes a new consumer.
            self._given.clear()
        with _connection_closed():
            self._return_what_is_not_given()

    def __next__(self) -> MessageProxy | None:
        with _connection_closed():
            while self._fetched or self._fetch():
                data = self._fetched.pop(0)
                if data is None:
                    continue
                try:
                    message = DramatiqMessage.decode(data)
                    self._given.add(message.options["redis_message_id"])
                except (DecodeError, KeyError, TypeError):
                    logger.exception("A message on the queue %r cannot be decoded.", self._queue_name)
                    self._bury(data)
                    continue
                return MessageProxy(message)
        return None

    def ack(self, message: MessageProxy) -> None:
        self._settle(self._broker.do_ack, message)

    def nack(self, message: MessageProxy) -> None:
        self._settle(self._broker.do_nack, message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        redis_ids = [message.options["redis_message_id"] for message in messages]
        if redis_ids:
            with _connection_closed():
                self._broker.do_requeue(self._queue_name, *redis_ids)
            self._given.difference_update(redis_ids)

    def close(self) -> None:
        self._fetched.clear()
        with _connection_closed():
            self._return_what_is_not_given()

    def _fetch(self) -> bool:
        self._sweep()
        room = self._prefetch - len(self._given)
        if room <= 0:
            self._room.wait(self._timeout / 1000)
            self._room.clear()
            return False
        self._fetched = self._broker.do_fetch(self._queue_name, room)
        if self._fetched:
            self._misses = 0
            return True
        self._misses, milliseconds = compute_backoff(self._misses, max_backoff=self._timeout)
        time.sleep(milliseconds / 1000)
        return False

    def _sweep(self) -> None:
        """Dramatiq's own maintenance of this queue, which is a sign of life too while there is no room to fetch."""
        if time.monotonic() < self._sweep_at:
            return
        broker = self._broker
        self._sweep_at = time.monotonic() + broker.heartbeat_timeout / 1000 / SWEEPS_PER_HEARTBEAT
        broker.scripts["dispatch"](
            keys=[broker.namespace],
            args=[
                "maintain", current_millis(), self._queue_name, broker.broker_id,
                broker.heartbeat_timeout, broker.dead_message_ttl, 1, _UNPACK_SIZE,
            ],
        )  # fmt: skip

    def _settle(self, command: Any, message: MessageProxy) -> None:
        # Repeated by Dramatiq until it succeeds; the script does nothing the second time.
        redis_id = message.options["redis_message_id"]
        with _connection_closed():
            command(self._queue_name, redis_id)
        self._given.discard(redis_id)
        self._room.set()

    def _return_what_is_not_given(self) -> None:
        redis_ids = [redis_id for redis_id in self._held() if redis_id not in self._given]
        if redis_ids:
            logger.info("%d messages return to the queue %r.", len(redis_ids), self._queue_name)
            self._broker.do_requeue(self._queue_name, *redis_ids)

    def _bury(self, data: bytes) -> None:
        """Dead-letter what was fetched as `data`: a fetch gives no ids, so they are looked up."""
        redis_ids = [redis_id for redis_id in self._held() if redis_id not in self._given]
        key = f"{self._broker.namespace}:{self._queue_name}.msgs"
        for redis_id, stored in zip(redis_ids, self._broker.client.hmget(key, redis_ids), strict=True):
            if stored == data:
                self._broker.do_nack(self._queue_name, redis_id)

    def _held(self) -> list[str]:
        """The ids that Redis has as fetched by this process and not settled."""
        key = f"{self._broker.namespace}:__acks__.{self._broker.broker_id}.{self._queue_name}"
        members: set[bytes] = self._broker.client.smembers(key)  # type: ignore[assignment]  # ours does not decode
        return [redis_id.decode() for redis_id in members]


@contextmanager
def _connection_closed() -> Iterator[None]:
    """Dramatiq tries again after its own error, and takes any other for a bug."""
    try:
        yield
    except RedisError as error:
        raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # it has no annotations
