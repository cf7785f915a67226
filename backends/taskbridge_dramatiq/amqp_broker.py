"""Dramatiq's RabbitMQ broker: opened from a URL, and prepared for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dramatiq.errors import ConnectionClosed

from taskbridge.errors import ConfigurationError
from taskbridge_dramatiq.amqp_publisher import (
    CONNECT_SECONDS,
    FAILURES,
    is_other_shape,
    other_shape,
    publish,
    put_back,
)
from taskbridge_dramatiq.fenced_rabbitmq import FencedRabbitmqBroker
from taskbridge_dramatiq.neutral import neutral_middleware
from taskbridge_dramatiq.patches import forget_connections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    from taskbridge.settings import BackendURL

__all__ = ["disconnect", "open_amqp", "prepare_worker", "publish", "put_back"]

HEARTBEAT_SECONDS: Final = 10
"""pika gives a silent server up after at most twice this and 5 s more: 30 s."""
WORKER_HEARTBEAT_SECONDS: Final = 60
"""A worker whose tasks hold the interpreter for longer loses its connection, and its jobs are given out again."""


def open_amqp(url: BackendURL, /) -> RabbitmqBroker:
    """The broker for a URL. Nothing is connected yet."""
    max_priority = url.number("priority", 0)
    if max_priority > 255:
        raise ConfigurationError(f"{url}: RabbitMQ's priorities end at 255. Ten are plenty: ?priority=10.")
    broker = FencedRabbitmqBroker(
        label=str(url),
        url=url.server(),
        confirm_delivery=True,
        max_priority=max_priority or None,
        middleware=neutral_middleware(),
    )
    for parameters in _parameters(broker):
        parameters.connection_attempts = 1
        parameters.socket_timeout = CONNECT_SECONDS
        parameters.stack_timeout = CONNECT_SECONDS
        parameters.heartbeat = HEARTBEAT_SECONDS
        parameters.blocked_connection_timeout = CONNECT_SECONDS
    return broker


def prepare_worker(broker: RabbitmqBroker, queues: Sequence[str], label: str, /, *, is_adopted: bool) -> None:
    """Check the shape of the queues before the consumers meet them, if the server can be reached.

    Raises:
        ConfigurationError: a queue exists in another shape.
    """
    if not is_adopted:
        for parameters in _parameters(broker):
            parameters.heartbeat = WORKER_HEARTBEAT_SECONDS
    try:
        for queue_name in queues:
            broker.declare_queue(queue_name, ensure=True)
    except ConnectionClosed as error:
        if is_other_shape(error.message):
            raise ConfigurationError(other_shape(broker, label, error.message)) from error
    except FAILURES:
        return
    finally:
        del broker.connection


def disconnect(broker: RabbitmqBroker, /) -> None:
    """Close the connections. The broker may be used again."""
    broker.close()
    forget_connections(broker)


def _parameters(broker: RabbitmqBroker) -> list[Any]:
    return broker.parameters if isinstance(broker.parameters, list) else [broker.parameters]
