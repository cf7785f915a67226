"""How often a redelivered job has begun, remembered by RabbitMQ itself: a job that was delivered once costs nothing."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Final

from pika import BasicProperties, exceptions

if TYPE_CHECKING:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    from taskbridge_dramatiq.delivery import Delivery, Key

COUNTER_MILLISECONDS: Final = 24 * 3600 * 1000
"""How long RabbitMQ keeps the counter of a job that is not seen again."""

SUSPECT_SECONDS: Final = 2.0
"""How long a job that may kill its worker runs before the next such begins."""


class CrashCounter:
    """A queue for each redelivered job, in which a message lies for each time that it has begun."""

    def __init__(self, broker: RabbitmqBroker) -> None:
        self._broker = broker
        self._turn = threading.Condition()
        self._suspect: Key | None = None

    def count(self, message: Delivery, /) -> int:
        """How often the job has begun after a redelivery, this time included. Raises what pika raises."""
        name = _name(message)
        channel = self._broker.channel
        arguments = {"x-expires": COUNTER_MILLISECONDS}
        before: int = channel.queue_declare(name, durable=True, arguments=arguments).method.message_count
        if before:
            self._await_turn(message)
        channel.basic_publish("", name, b"", BasicProperties(delivery_mode=2), mandatory=True)
        return before + 1

    def seen(self, message: Delivery, /) -> int:
        """How often the job has begun after a redelivery so far. Raises what pika raises."""
        name = _name(message)
        channel = self._broker.channel
        arguments = {"x-expires": COUNTER_MILLISECONDS}
        count: int = channel.queue_declare(name, durable=True, arguments=arguments).method.message_count
        if not count:
            channel.queue_delete(name)
        return count

    def forget(self, message: Delivery, /) -> None:
        """The job has ended here."""
        with self._turn:
            if self._suspect == message.key:
                self._suspect = None
                self._turn.notify_all()
        try:
            self._broker.channel.queue_delete(_name(message))
        except exceptions.AMQPError:
            del self._broker.connection

    def _await_turn(self, message: Delivery) -> None:
        """Of jobs that have seen two workers die, begin one at a time: the one to blame takes no other along."""
        until = time.monotonic() + SUSPECT_SECONDS
        with self._turn:
            while self._suspect is not None and message.is_held:
                if not self._turn.wait(timeout=max(0.0, until - time.monotonic())):
                    break
            self._suspect = message.key


def _name(message: Delivery) -> str:
    digest = hashlib.sha256(repr(message.key).encode()).hexdigest()
    return f"taskbridge.begun.{digest[:32]}"
