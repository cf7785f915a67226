"""Dead letters on RabbitMQ: kept where no store keeps them; and watched, since Dramatiq's own end after 7 days."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pika
from dramatiq.common import xq_name
from pika import exceptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pika.adapters.blocking_connection import BlockingChannel

logger = logging.getLogger("taskbridge.dramatiq")

DEAD_QUEUE: Final = "taskbridge.dead"
"""Where messages lie that no task can be given, when there is no store; for every engine the same."""
DEAD_HEADER: Final = "taskbridge_dead"
"""On that queue: why, whence and when."""
RETENTION: Final = timedelta(days=30)

WATCH_SECONDS: Final = 60
_ERROR_LENGTH = 1000


def keep(
    channel: BlockingChannel,
    body: bytes,
    properties: pika.BasicProperties,
    /,
    *,
    queue_name: str,
    reason: str,
    error: Exception,
) -> None:
    """Keep a message as it came. Raises what pika raises, on a channel that confirms."""
    why = {
        "reason": reason,
        "error": f"{type(error).__name__}: {error}"[:_ERROR_LENGTH],
        "queue": queue_name,
        "at": datetime.now(UTC).isoformat(),
    }
    arguments = {"x-message-ttl": int(RETENTION.total_seconds() * 1000)}
    channel.queue_declare(DEAD_QUEUE, durable=True, arguments=arguments)
    kept = pika.BasicProperties(headers={**(properties.headers or {}), DEAD_HEADER: why}, delivery_mode=2)
    channel.basic_publish("", DEAD_QUEUE, body, kept, mandatory=True)


class DeadLetterWatch:
    """Logs how many dead letters there are, at the start and whenever they have become more."""

    def __init__(self, parameters: Any, queues: Sequence[str]) -> None:
        self._parameters = parameters
        self._seen = dict.fromkeys(map(xq_name, queues), 0)
        self._stopped = threading.Event()

    def start(self) -> None:
        """Watch from now on."""
        threading.Thread(target=self._watch, name="taskbridge-dead-letters", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                self.look()
            except (exceptions.AMQPError, OSError) as error:
                logger.info("The dead letters are not counted: %r", error)
            self._stopped.wait(WATCH_SECONDS)

    def look(self) -> None:
        """Count once, on a connection for this moment."""
        with pika.BlockingConnection(self._parameters) as connection:
            for name, before in self._seen.items():
                count = connection.channel().queue_declare(name, passive=True).method.message_count
                if count > before:
                    logger.warning(
                        "%d dead letters lie on %s. RabbitMQ deletes each after 7 days; a store keeps them, ?store=.",
                        count,
                        name,
                    )
                self._seen[name] = count
