"""Dramatiq's Redis broker: opened from a URL, and handed one or many messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis, dq_name
from redis.exceptions import NoScriptError

from taskbridge.brokers.redis import enqueuing, producer_client
from taskbridge.errors import EnqueueError
from taskbridge.identity import new_ids
from taskbridge_dramatiq.brokers import neutral_middleware
from taskbridge_dramatiq.redis_consumer import ReturningRedisBroker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dramatiq import Message as DramatiqMessage

    from taskbridge.settings import BackendURL

HEARTBEAT_SECONDS: Final = 30

_BATCH = 1000


def open_redis(url: BackendURL, /) -> RedisBroker:
    """The broker for a URL. Nothing is connected yet."""
    return ReturningRedisBroker(
        client=producer_client(url),
        namespace=url.options.get("namespace", "dramatiq"),
        heartbeat_timeout=url.number("heartbeat", HEARTBEAT_SECONDS) * 1000,
        maintenance_chance=0,
        middleware=neutral_middleware(),
    )


def publish(broker: RedisBroker, messages: Sequence[tuple[DramatiqMessage[Any], int | None]], label: str, /) -> None:
    """Enqueue (message, delay in milliseconds) pairs: one command for one, one round trip for each thousand.

    Raises:
        EnqueueError: after at most 5 s for connecting and 5 s for the answer.
    """
    if len(messages) == 1:
        with enqueuing(label):
            broker.enqueue(messages[0][0], delay=messages[0][1])
        return
    is_stock = type(broker).enqueue is RedisBroker.enqueue
    done = 0
    try:
        for batch in _batches(messages):
            with enqueuing(label):
                if is_stock:
                    _publish_batch(broker, batch, label)
                else:
                    for message, delay in batch:
                        broker.enqueue(message, delay=delay)
                        done += 1
            done += len(batch) if is_stock else 0
    except EnqueueError as error:
        error.maybe_accepted |= done > 0
        raise


def prepare_worker(broker: RedisBroker, queues: Sequence[str], label: str, /, *, is_adopted: bool) -> None:
    """Nothing: a list in Redis has no shape, and Dramatiq's consumers wait for a server that is away."""


def disconnect(broker: RedisBroker, /) -> None:
    """Give back the connections."""
    broker.client.connection_pool.disconnect()


def _batches(messages: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (messages[start : start + _BATCH] for start in range(0, len(messages), _BATCH))


def _publish_batch(broker: RedisBroker, batch: Sequence[tuple[DramatiqMessage[Any], int | None]], label: str) -> None:
    """`RedisBroker.enqueue` for many: its hooks and its script, in one transaction."""
    natives = [
        (_addressed(message, delay, redis_id), delay)
        for (message, delay), redis_id in zip(batch, new_ids(len(batch)), strict=True)
    ]
    for native, delay in natives:
        broker.emit_before("enqueue", native, delay)
    errors = _dispatch(broker, [native for native, _ in natives])
    if errors and isinstance(errors[0], NoScriptError):
        broker.client.script_load(broker.scripts["dispatch"].script)
        errors = _dispatch(broker, [native for native, _ in natives])
    if errors:
        raise EnqueueError(
            f"{label} did not take {len(errors)} of {len(natives)} jobs: {errors[0]}",
            maybe_accepted=len(errors) < len(natives),
        )
    for native, delay in natives:
        broker.emit_after("enqueue", native, delay)


def _addressed(message: DramatiqMessage[Any], delay: int | None, redis_id: str) -> DramatiqMessage[Any]:
    if delay is None:
        # `publish` is given messages that nobody else has, and a copy costs as much as all else here.
        message.options["redis_message_id"] = redis_id
        return message
    eta = current_millis() + delay
    return message.copy(queue_name=dq_name(message.queue_name), options={"redis_message_id": redis_id, "eta": eta})


def _dispatch(broker: RedisBroker, natives: Sequence[DramatiqMessage[Any]]) -> list[Exception]:
    digest, namespace = broker.scripts["dispatch"].sha, broker.namespace.encode()
    # As bytes once, since redis-py encodes each argument of each command anew.
    now, heartbeat, ttl = (
        str(number).encode() for number in (current_millis(), broker.heartbeat_timeout, broker.dead_message_ttl)
    )
    broker_id = broker.broker_id.encode()
    pipeline = broker.client.pipeline(transaction=True)
    for native in natives:
        redis_id = native.options["redis_message_id"]
        pipeline.execute_command(
            "EVALSHA", digest, b"1", namespace,
            b"enqueue", now, native.queue_name, broker_id, heartbeat, ttl, b"0", b"1", redis_id, native.encode(),
        )  # fmt: skip
    return [reply for reply in pipeline.execute(raise_on_error=False) if isinstance(reply, Exception)]
