"""Dramatiq's Redis broker: opened from a URL, and handed one or many messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dramatiq.common import current_millis, dq_name
from redis import Redis

from taskbridge.brokers.redis import enqueuing, producer_client, producer_pool
from taskbridge.errors import EnqueueError, UndecodableMessage
from taskbridge.identity import new_ids
from taskbridge_dramatiq.leased_broker import LeasedRedisBroker
from taskbridge_dramatiq.neutral import neutral_middleware
from taskbridge_dramatiq.redis_keys import Keys
from taskbridge_dramatiq.scripts import ENQUEUE
from taskbridge_dramatiq.wire import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dramatiq import Message as DramatiqMessage
    from dramatiq.brokers.redis import RedisBroker

    from taskbridge.settings import BackendURL

LEASE_SECONDS: Final = 8
BEAT_ANSWER_SECONDS: Final = 2

_BATCH = 1000


def open_redis(url: BackendURL, /) -> RedisBroker:
    """The broker for a URL. Nothing is connected yet."""
    lease_seconds = url.number("heartbeat", LEASE_SECONDS)
    patience = min(BEAT_ANSWER_SECONDS, lease_seconds / 4)
    return LeasedRedisBroker(
        client=producer_client(url),
        beat_client=Redis(connection_pool=producer_pool(url, socket_timeout=patience, socket_connect_timeout=patience)),
        namespace=url.options.get("namespace", "dramatiq"),
        heartbeat_timeout=lease_seconds * 1000,
        middleware=neutral_middleware(),
    )


def publish(broker: RedisBroker, messages: Sequence[tuple[DramatiqMessage[Any], int | None]], label: str, /) -> None:
    """Enqueue (message, delay in milliseconds) pairs: one command for one, one transaction for each thousand.

    Raises:
        EnqueueError: after at most 5 s for connecting and 5 s for the answer.
    """
    if not isinstance(broker, LeasedRedisBroker):
        _publish_one_by_one(broker, messages, label)
        return
    if len(messages) == 1:
        ((message, delay),) = messages
        native = _addressed(message, delay, new_ids(1)[0])
        broker.emit_before("enqueue", native, delay)
        keys = broker.keys(native.queue_name)
        with enqueuing(label):
            ENQUEUE(broker.client, (keys.list, keys.messages), native.options["redis_message_id"], native.encode())
        broker.emit_after("enqueue", native, delay)
        return
    done = 0
    try:
        for batch in _batches(messages):
            with enqueuing(label):
                _publish_batch(broker, batch)
            done += len(batch)
    except EnqueueError as error:
        error.maybe_accepted |= done > 0
        raise


def put_back(broker: RedisBroker, queue_name: str, payload: bytes, label: str, /) -> None:
    """Lay bytes on the queue under the Redis id that they name, by which a worker would acknowledge them, or a new one.

    Raises:
        EnqueueError: as `publish`.
    """
    keys = Keys.of(broker.namespace, queue_name)
    try:
        redis_id = decode(payload, queue_name=queue_name).options.get("redis_message_id")
    except UndecodableMessage:
        redis_id = None
    with enqueuing(label):
        ENQUEUE(
            broker.client,
            (keys.list, keys.messages),
            redis_id if isinstance(redis_id, str) else new_ids(1)[0],
            payload,
        )


def prepare_worker(broker: RedisBroker, queues: Sequence[str], label: str, /, *, is_adopted: bool) -> None:
    """Nothing: a list in Redis has no shape, and Dramatiq's consumers wait for a server that is away."""


def disconnect(broker: RedisBroker, /) -> None:
    """Give back the connections."""
    broker.client.connection_pool.disconnect()
    if isinstance(broker, LeasedRedisBroker):
        broker.lease.disconnect()


def _batches(messages: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (messages[start : start + _BATCH] for start in range(0, len(messages), _BATCH))


def _publish_one_by_one(
    broker: RedisBroker, messages: Sequence[tuple[DramatiqMessage[Any], int | None]], label: str
) -> None:
    """To an application's own broker, in its own way."""
    done = 0
    try:
        for message, delay in messages:
            with enqueuing(label):
                broker.enqueue(message, delay=delay)
            done += 1
    except EnqueueError as error:
        error.maybe_accepted |= done > 0
        raise


def _publish_batch(broker: LeasedRedisBroker, batch: Sequence[tuple[DramatiqMessage[Any], int | None]]) -> None:
    """`LeasedRedisBroker.enqueue` for many: its hooks, and two commands for each queue, in one transaction."""
    natives = [
        (_addressed(message, delay, redis_id), delay)
        for (message, delay), redis_id in zip(batch, new_ids(len(batch)), strict=True)
    ]
    for native, delay in natives:
        broker.emit_before("enqueue", native, delay)
    queues: dict[str, list[DramatiqMessage[Any]]] = {}
    for native, _ in natives:
        queues.setdefault(native.queue_name, []).append(native)
    pipeline = broker.client.pipeline(transaction=True)
    for queue_name, queued in queues.items():
        keys = broker.keys(queue_name)
        redis_ids = [native.options["redis_message_id"] for native in queued]
        fields = [part for pair in zip(redis_ids, [native.encode() for native in queued], strict=True) for part in pair]
        pipeline.execute_command("HSET", keys.messages, *fields)
        pipeline.execute_command("RPUSH", keys.list, *redis_ids)
    pipeline.execute()
    for native, delay in natives:
        broker.emit_after("enqueue", native, delay)


def _addressed(message: DramatiqMessage[Any], delay: int | None, redis_id: str) -> DramatiqMessage[Any]:
    if delay is None:
        # `publish` is given messages that nobody else has, and a copy costs as much as all else here.
        message.options["redis_message_id"] = redis_id
        return message
    eta = current_millis() + delay
    return message.copy(queue_name=dq_name(message.queue_name), options={"redis_message_id": redis_id, "eta": eta})
