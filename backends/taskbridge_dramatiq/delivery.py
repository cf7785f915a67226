"""What RabbitMQ gave to a worker, and which consumer holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from taskbridge_dramatiq.held import Held

if TYPE_CHECKING:
    from dramatiq import Message as DramatiqMessage

Key = tuple[str, int]
"""A job's id and how many attempts it has behind it: one execution, however often it is delivered."""


class Holder(Protocol):
    """A consumer, for the time that its connection lasts."""

    @property
    def is_open(self) -> bool: ...
    def holds(self, tag: int, /) -> bool:
        """Whether RabbitMQ waits for this consumer to settle the delivery."""

    def settle(self, tag: int, *, is_dead: bool) -> None:
        """Acknowledge, or dead-letter; nothing, if RabbitMQ has given the delivery to another."""


class Delivery(Held):
    """A message that a worker holds, as long as its consumer's connection lasts."""

    def __init__(self, message: DramatiqMessage[Any], *, consumer: Holder, tag: int, was_redelivered: bool) -> None:
        super().__init__(message)
        self.consumer = consumer
        self.tag = tag
        self.was_redelivered = was_redelivered
        self.has_begun = False
        self.counted = 0
        """How often it had begun after a redelivery, this run included, when it began here."""
        retries = message.options.get("retries", 0)
        self.key: Key = (message.message_id, retries if isinstance(retries, int) else 0)

    @property
    def is_held(self) -> bool:
        return self.consumer.holds(self.tag)
