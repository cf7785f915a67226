"""Dramatiq's RabbitMQ broker, whose workers know what they hold and publish each message once."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.errors import ConnectionClosed
from pika import exceptions

from taskbridge.errors import EnqueueError
from taskbridge_dramatiq.amqp_consumer import FencedConsumer
from taskbridge_dramatiq.amqp_publisher import publish
from taskbridge_dramatiq.crash_counter import CrashCounter
from taskbridge_dramatiq.dead_letters import DeadLetterWatch, keep
from taskbridge_dramatiq.delivery import Delivery
from taskbridge_dramatiq.wire import CRASHES

if TYPE_CHECKING:
    from collections.abc import Callable

    from dramatiq import Message as DramatiqMessage
    from dramatiq.broker import Consumer, MessageProxy
    from pika import BasicProperties

    from taskbridge_dramatiq.delivery import Holder, Key

logger = logging.getLogger("taskbridge.dramatiq")

CARRY_SECONDS: Final = 5.0
"""How long after a reconnect a running job may come back to this process, before it is taken for another's."""
REMEMBERED_SECONDS: Final = 30.0
"""How long after its end a job whose acknowledgement was lost with a connection is settled again, and not run."""
AGAIN_SECONDS: Final = 1.0
_REMEMBERED = 1000
_ACCESS_REFUSED = 403


class Settled(NamedTuple):
    """What became of a job that has ended here."""

    consumer: Holder
    is_dead: bool
    at: float
    """Seconds, monotonic."""
    counted: int
    """As of the delivery."""


class FencedRabbitmqBroker(RabbitmqBroker):
    """What a worker settles on a connection that has ended changes nothing: the message is given out again."""

    def __init__(self, *, label: str, **options: Any) -> None:
        super().__init__(**options)
        self.label = label
        self.park: Callable[..., bool] = _nowhere
        self._lock = threading.Lock()
        self._consumers: dict[str, FencedConsumer] = {}
        self._running: dict[Key, Delivery] = {}
        self._crashes = CrashCounter(self)
        self._settled: OrderedDict[Key, Settled] = OrderedDict()
        self._delayed: dict[str, dict[Key, Delivery]] = {}
        self._watch: DeadLetterWatch | None = None

    @property
    def consumer_class(self) -> Callable[[FencedRabbitmqBroker, str, int, int], Consumer]:
        return FencedConsumer

    def start(self) -> None:
        """Begin to watch the dead letters."""
        self._watch = DeadLetterWatch(self.parameters, tuple(self.queues))
        self._watch.start()

    def leave(self) -> None:
        """Nothing goes back that the end of the connections does not give back."""
        if self._watch is not None:
            self._watch.stop()

    def opened(self, queue_name: str, consumer: FencedConsumer, /) -> None:
        """A consumer has taken the place of the one before."""
        self._consumers[queue_name] = consumer
        self._delayed[queue_name] = {}

    def delay(self, queue_name: str, delivery: Delivery, /) -> None:
        """A worker holds this until it is due."""
        self._delayed[queue_name][delivery.key] = delivery

    def carries_on(self, delivery: Delivery, /) -> bool:
        """Whether this process runs what is delivered, or has just run it: then the delivery is dealt with.

        Not if another worker has begun it meanwhile: then this process's run is the one that was replaced. After its
        own restart RabbitMQ may not say that it delivers again; but only a dead letter is redriven under its old id, so
        that one is not taken for its earlier life.
        """
        if not self._is_known(delivery) or self._has_begun_elsewhere(delivery):
            return False
        with self._lock:
            running = self._running.get(delivery.key)
            if running is not None and not running.is_held:
                running.consumer, running.tag = delivery.consumer, delivery.tag
                logger.info("The job %s, which runs here, was delivered again after a cut.", delivery.message_id)
                return True
            settled = self._settled.get(delivery.key)
            if settled is None:
                return False
            self._settled[delivery.key] = settled._replace(consumer=delivery.consumer)
        delivery.consumer.settle(delivery.tag, is_dead=settled.is_dead)
        return True

    def _is_known(self, delivery: Delivery) -> bool:
        with self._lock:
            running = self._running.get(delivery.key)
            if running is not None:
                return not running.is_held
            settled = self._settled.get(delivery.key)
            if settled is None:
                return False
            is_known = (
                not settled.consumer.is_open
                and time.monotonic() - settled.at <= REMEMBERED_SECONDS
                and (delivery.was_redelivered or not settled.is_dead)
            )
            if not is_known:
                del self._settled[delivery.key]
            return is_known

    def _has_begun_elsewhere(self, delivery: Delivery) -> bool:
        with self._lock:
            mine = self._running.get(delivery.key) or self._settled.get(delivery.key)
        try:
            return self._crashes.seen(delivery) > (mine.counted if mine is not None else 0)
        except exceptions.AMQPError as error:
            del self.connection
            if getattr(error, "reply_code", None) == _ACCESS_REFUSED:
                return False
            raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # it has no annotations

    def begin(self, message: MessageProxy, /) -> bool:
        """Whether the worker may run it: RabbitMQ has not given it to another. Counts the runs of redelivered ones."""
        if not isinstance(message, Delivery):
            return True
        carried = message.options.get(CRASHES, 0)
        message.crashes = carried if isinstance(carried, int) else 0
        while message.is_held:
            if message.was_redelivered:
                try:
                    message.counted = self._crashes.count(message)
                    message.crashes += message.counted
                except exceptions.AMQPError as error:
                    del self.connection
                    if getattr(error, "reply_code", None) != _ACCESS_REFUSED:
                        time.sleep(AGAIN_SECONDS)
                        continue
                    logger.warning("Its runs are not counted: this user may not declare taskbridge.begun.*: %s", error)
            with self._lock:
                message.has_begun = True
                self._running[message.key] = message
                self._settled.pop(message.key, None)
            return True
        logger.warning("The job %s is given out anew, since its connection has ended.", message.message_id)
        return False

    def settle(self, message: MessageProxy, /, *, is_dead: bool) -> None:
        """Acknowledge or dead-letter what was delivered, wherever it was delivered last."""
        assert isinstance(message, Delivery)
        with self._lock:
            consumer, tag = message.consumer, message.tag
            if message.has_begun:
                if self._running.get(message.key) is message:
                    del self._running[message.key]
                self._settled[message.key] = Settled(consumer, is_dead, time.monotonic(), message.counted)
                if len(self._settled) > _REMEMBERED:
                    self._settled.popitem(last=False)
        consumer.settle(tag, is_dead=is_dead)
        if message.has_begun and message.was_redelivered:
            self._crashes.forget(message)

    def put_back(
        self,
        message: MessageProxy,
        successor: DramatiqMessage[Any],
        /,
        *,
        delay: int | None,
        redis_id: str,  # noqa: ARG002 - for the other broker
    ) -> None:
        """Publish the next attempt while this one is held; it is acknowledged afterwards.

        Raises:
            ConnectionClosed: the broker did not take it, or the message may yet come back after a cut: try again.
        """
        assert isinstance(message, Delivery)
        if not message.is_held:
            consumer = self._consumers.get(message.queue_name)
            if consumer is None or not consumer.is_open or time.monotonic() - consumer.opened_at < CARRY_SECONDS:
                raise ConnectionClosed("the connection was lost")  # type: ignore[no-untyped-call]  # no annotations
            logger.warning("The job %s is another worker's by now: its next attempt too.", message.message_id)
            return
        self._publish(successor, delay)

    def enqueue(self, message: DramatiqMessage[Any], *, delay: int | None = None) -> DramatiqMessage[Any]:
        """Publish once, confirmed. A delayed job that is due is published only while it is held."""
        if delay is None:
            retries = message.options.get("retries", 0)
            for delayed in tuple(self._delayed.values()):
                delivery = delayed.pop((message.message_id, retries), None)
                if delivery is not None and not delivery.is_held:
                    return message
        self._publish(message, delay)
        return message

    def keep(
        self, body: bytes, properties: BasicProperties, /, *, queue_name: str, reason: str, error: Exception
    ) -> None:
        """Keep on the broker what no task can be given, as it came.

        Raises:
            ConnectionClosed: the broker did not confirm it.
        """
        try:
            keep(self.channel, body, properties, queue_name=queue_name, reason=reason, error=error)
        except exceptions.AMQPError as failure:
            del self.connection
            raise ConnectionClosed(failure) from failure  # type: ignore[no-untyped-call]  # it has no annotations

    def _publish(self, message: DramatiqMessage[Any], delay: int | None) -> None:
        try:
            publish(self, [(message, delay)], self.label)
        except EnqueueError as error:
            raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # it has no annotations


def _nowhere(*_payload: Any, **_facts: Any) -> bool:
    return False
