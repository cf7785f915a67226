"""A consumer for RabbitMQ whose deliveries outlive their connection.

After a cut RabbitMQ gives everything out again, while Dramatiq's own consumer goes on with what it has begun: each job
runs twice, and its acknowledgement, sent on the new connection under the old number, may hit another job. Here a
delivery knows its consumer. What comes back to a process that still runs it is taken for the same; what comes back
after its run has ended is settled again, and not run again.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import pika
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.common import q_name
from dramatiq.errors import ConnectionClosed
from pika import exceptions

from taskbridge.errors import UndecodableMessage, UnknownTask
from taskbridge_dramatiq.delivery import Delivery
from taskbridge_dramatiq.wire import decode, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dramatiq import Message as DramatiqMessage

    from taskbridge.message import Message

logger = logging.getLogger("taskbridge.dramatiq")

RENEW_SECONDS: Final = 600
"""How long delayed jobs are held on one connection: RabbitMQ ends one that holds a message for 30 minutes."""

CLOSE_SECONDS: Final = 5
_NOT_FOUND = 404
_FAILURES = (exceptions.AMQPError, OSError, AssertionError)


class ConsumersBroker(Protocol):
    """What a consumer asks of its broker."""

    @property
    def parameters(self) -> Any:
        """Those of pika, for a connection."""

    @property
    def actors(self) -> Mapping[str, object]: ...
    @property
    def delay_queues(self) -> Collection[str]: ...
    @property
    def queues_pending(self) -> set[str]:
        """Those that Dramatiq declares before it consumes them."""

    @property
    def park(self) -> Callable[..., bool]:
        """`Run.park`."""

    def opened(self, queue_name: str, consumer: FencedConsumer, /) -> None: ...
    def delay(self, queue_name: str, delivery: Delivery, /) -> None: ...
    def carries_on(self, delivery: Delivery, /) -> bool: ...
    def settle(self, message: MessageProxy, /, *, is_dead: bool) -> None: ...
    def keep(
        self, body: bytes, properties: pika.BasicProperties, /, *, queue_name: str, reason: str, error: Exception
    ) -> None: ...


class FencedConsumer(Consumer):
    """Consumes one queue on a connection of its own."""

    def __init__(self, broker: ConsumersBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        self._broker = broker
        self._queue_name = queue_name
        self._is_delayed = queue_name in broker.delay_queues
        self._held: set[int] = set()
        self.opened_at = time.monotonic()
        try:
            self._connection = pika.BlockingConnection(parameters=broker.parameters)
            self._channel = self._connection.channel()
            self._channel.basic_qos(prefetch_count=prefetch)
            self._deliveries = self._channel.consume(queue_name, inactivity_timeout=timeout / 1000)
        except _FAILURES as error:
            raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # it has no annotations
        broker.opened(queue_name, self)

    def holds(self, tag: int, /) -> bool:
        """Whether RabbitMQ waits for this consumer to settle the delivery."""
        return tag in self._held and self.is_open

    @property
    def is_open(self) -> bool:
        return bool(self._connection.is_open and self._channel.is_open)

    def __next__(self) -> MessageProxy | None:
        if self._is_delayed and self._held and time.monotonic() - self.opened_at > RENEW_SECONDS:
            raise ConnectionClosed("delayed jobs are taken anew")  # type: ignore[no-untyped-call]  # no annotations
        try:
            method, properties, body = next(self._deliveries)
        except _FAILURES as error:
            if getattr(error, "reply_code", None) == _NOT_FOUND:
                self._broker.queues_pending.add(q_name(self._queue_name))
            raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # it has no annotations
        if method is None:
            return None
        tag: int = method.delivery_tag
        self._held.add(tag)
        message = self._decode(tag, body, properties)
        if message is None:
            return None
        delivery = Delivery(message, consumer=self, tag=tag, was_redelivered=method.redelivered)
        if self._is_delayed:
            self._broker.delay(self._queue_name, delivery)
        elif self._broker.carries_on(delivery):
            return None
        return delivery

    def ack(self, message: MessageProxy) -> None:
        self._broker.settle(message, is_dead=False)

    def nack(self, message: MessageProxy) -> None:
        self._broker.settle(message, is_dead=True)

    def settle(self, tag: int, *, is_dead: bool) -> None:
        """Acknowledge, or dead-letter; nothing, if RabbitMQ has given the delivery to another."""
        if not self.holds(tag):
            return
        self._held.discard(tag)
        command = (
            partial(self._channel.basic_nack, tag, requeue=False) if is_dead else partial(self._channel.basic_ack, tag)
        )
        try:
            self._connection.add_callback_threadsafe(command)
        except _FAILURES:
            logger.warning("The connection closed before a delivery was settled.")

    def close(self) -> None:
        settled = threading.Event()
        deadline = time.monotonic() + CLOSE_SECONDS
        try:
            # Callbacks are called in order: when this one is, all that was settled is written.
            self._connection.add_callback_threadsafe(settled.set)
            while not settled.is_set() and time.monotonic() < deadline:
                self._connection.process_data_events(0.01)
            self._channel.close()
            self._connection.close()
        except _FAILURES as error:
            logger.info("The connection of the queue %r had ended: %r", self._queue_name, error)
        finally:
            self._held.clear()

    def _decode(self, tag: int, body: bytes, properties: pika.BasicProperties) -> DramatiqMessage[Any] | None:
        """The message, unless no task can be given it: then it is parked."""
        try:
            message = decode(body, queue_name=self._queue_name)
        except UndecodableMessage as error:
            self._park(tag, body, properties, "undecodable", error)
            return None
        if not self._is_delayed and message.actor_name not in self._broker.actors:
            words = f"No task is called {message.actor_name!r} in this worker: name its module in `imports`."
            self._park(tag, body, properties, "unknown task", UnknownTask(words), readable(message))
            return None
        return message

    def _park(
        self,
        tag: int,
        body: bytes,
        properties: pika.BasicProperties,
        reason: Any,
        error: Exception,
        job: Message | None = None,
    ) -> None:
        """Keep it in the store and in Dramatiq's dead letters; without a store, where nothing deletes it so soon."""
        queue_name = q_name(self._queue_name)
        if self._broker.park(body, queue_name=queue_name, reason=reason, error=error, message=job):
            self.settle(tag, is_dead=True)
        else:
            self._broker.keep(body, properties, queue_name=queue_name, reason=reason, error=error)
            self.settle(tag, is_dead=False)
