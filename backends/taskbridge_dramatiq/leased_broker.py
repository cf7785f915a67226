"""Dramatiq's Redis broker, whose workers hold a lease on what they were given."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis, dq_name
from redis.exceptions import RedisError

from taskbridge.identity import new_ids
from taskbridge_dramatiq.lease import Lease
from taskbridge_dramatiq.redis_consumer import LeasedConsumer, LeasedMessage
from taskbridge_dramatiq.redis_keys import Keys
from taskbridge_dramatiq.scripts import BEGIN, ENQUEUE, SUCCEED
from taskbridge_dramatiq.wire import CRASHES

if TYPE_CHECKING:
    from collections.abc import Callable

    from dramatiq import Message as DramatiqMessage
    from dramatiq.broker import Consumer, MessageProxy
    from redis import Redis


logger = logging.getLogger("taskbridge.dramatiq")

AGAIN_SECONDS: Final = 1.0
"""How long a worker thread waits before it asks again a server that does not answer."""


class LeasedRedisBroker(RedisBroker):
    """What a worker settles after its lease was lost changes nothing: the messages are another's."""

    def __init__(self, *, beat_client: Redis, heartbeat_timeout: int, **options: Any) -> None:
        """`beat_client` is for the lease alone: it must not wait for long."""
        super().__init__(heartbeat_timeout=heartbeat_timeout, **options)  # type: ignore[no-untyped-call]  # no annotations
        self.lease = Lease(
            beat_client,
            self.namespace,
            seconds=heartbeat_timeout / 1000,
            dead_letter_milliseconds=self.dead_message_ttl,
        )
        self.park: Callable[..., bool] = _nowhere
        self._keys: dict[str, Keys] = {}
        self._held: dict[str, dict[str, str]] = {}

    @property
    def consumer_class(self) -> Callable[[LeasedRedisBroker, str, int, int], Consumer]:
        return LeasedConsumer

    def keys(self, queue_name: str, /) -> Keys:
        found = self._keys.get(queue_name)
        if found is None:
            found = self._keys[queue_name] = Keys.of(self.namespace, queue_name)
        return found

    def held(self, queue_name: str, /) -> dict[str, str]:
        """The Redis ids of what this process's worker was given and has not settled, with the lease of each."""
        return self._held.setdefault(queue_name, {})

    def release(self, message: LeasedMessage, /) -> None:
        """Forget a message that is settled."""
        self.held(message.held_on).pop(message.redis_id, None)

    def enqueue(self, message: DramatiqMessage[Any], *, delay: int | None = None) -> DramatiqMessage[Any]:
        """As Dramatiq's; but a delayed message that is due moves to its queue in one step, if it is still held."""
        delayed = dq_name(message.queue_name)
        held = self.held(delayed)
        redis_id = message.options.get("redis_message_id")
        lease_id = held.get(redis_id) if delay is None and isinstance(redis_id, str) else None
        native = self.addressed(message, delay, new_ids(1)[0])
        self.emit_before("enqueue", native, delay)
        if lease_id is None:
            keys = self.keys(native.queue_name)
            ENQUEUE(self.client, (keys.list, keys.messages), native.options["redis_message_id"], native.encode())
        else:
            assert redis_id is not None
            self._succeed(self.keys(delayed), redis_id, lease_id, native)
            held.pop(redis_id, None)
        self.emit_after("enqueue", native, delay)
        return native

    def addressed(self, message: DramatiqMessage[Any], delay: int | None, redis_id: str) -> DramatiqMessage[Any]:
        """A copy with what Redis and the delay need."""
        if delay is None:
            return message.copy(options={"redis_message_id": redis_id})
        eta = current_millis() + delay
        return message.copy(queue_name=dq_name(message.queue_name), options={"redis_message_id": redis_id, "eta": eta})

    def begin(self, message: MessageProxy, /) -> bool:
        """Whether the worker may run it: it is still held. Counts the runs of what a dead worker had."""
        if not isinstance(message, LeasedMessage):
            return True
        while self.lease.holds(message.lease_id):
            carried = message.options.get(CRASHES, 0)
            message.crashes = carried if isinstance(carried, int) else 0
            if not message.was_recovered:
                return True
            keys = self.keys(message.held_on)
            try:
                count = BEGIN(self.client, (keys.acks(message.lease_id), keys.crashes), message.redis_id)
            except RedisError:
                logger.exception("The job %s waits in this worker for Redis.", message.message_id)
                time.sleep(AGAIN_SECONDS)
                continue
            if count is None:
                break
            message.crashes += count
            return True
        logger.warning("The job %s is another worker's by now.", message.message_id)
        self.release(message)
        return False

    def put_back(
        self, message: MessageProxy, successor: DramatiqMessage[Any], /, *, delay: int | None, redis_id: str
    ) -> None:
        """Put the next attempt in the place of this one, if it is still held; it is acknowledged with that."""
        assert isinstance(message, LeasedMessage)
        native = self.addressed(successor, delay, redis_id)
        self.emit_before("enqueue", native, delay)
        if not self._succeed(self.keys(message.held_on), message.redis_id, message.lease_id, native):
            logger.warning("The job %s is another worker's by now: its next attempt is not ours.", message.message_id)
        self.release(message)
        self.emit_after("enqueue", native, delay)

    def start(self) -> None:
        """Begin to renew the lease."""
        self.lease.start()

    def leave(self) -> None:
        """Give back the lease and what is held under it."""
        self.lease.leave()

    def _succeed(self, keys: Keys, redis_id: str, lease_id: str, native: DramatiqMessage[Any]) -> bool:
        target = self.keys(native.queue_name)
        moved: int = SUCCEED(
            self.client,
            (keys.acks(lease_id), keys.messages, target.list, target.messages, keys.crashes),
            redis_id,
            native.options["redis_message_id"],
            native.encode(),
        )
        return bool(moved)


def _nowhere(*_payload: Any, **_facts: Any) -> bool:
    return False
