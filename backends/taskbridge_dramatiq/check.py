"""What `taskbridge check` sees of Dramatiq's broker."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from taskbridge.check.amqp import ANSWER_SECONDS, NOWHERE, TWICE, QueueState, amqp_findings
from taskbridge.check.consumer_timeout import DEFAULT, consumer_timeout_findings
from taskbridge.check.finding import note, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dramatiq.brokers.rabbitmq import RabbitmqBroker
    from dramatiq.brokers.redis import RedisBroker

    from taskbridge.check.finding import Finding


def redis_broker_findings(broker: RedisBroker, /) -> Iterator[Finding]:
    """The broker's own client has the limits of time that a producer has."""
    from taskbridge.check.redis import redis_findings

    yield from redis_findings(broker.client)


def amqp_broker_findings(broker: RabbitmqBroker, queues: Sequence[str], /) -> Iterator[Finding]:
    """Look at the server on a connection of its own."""
    from pika import BlockingConnection, exceptions

    given = broker.parameters if isinstance(broker.parameters, list) else [broker.parameters]
    parameters = [copy(each) for each in given]
    for each in parameters:
        each.blocked_connection_timeout = ANSWER_SECONDS
    try:
        connection = BlockingConnection(parameters)
    except (exceptions.AMQPError, OSError) as problem:
        yield unreachable(f"RabbitMQ at {parameters[0].host}:{parameters[0].port}", repr(problem))
        return
    probe = _Probe(broker, connection, f"RabbitMQ at {parameters[0].host}:{parameters[0].port}")
    try:
        yield from amqp_findings(probe, queues)
        if not connection.is_open:
            return
        yield from consumer_timeout_findings(
            parameters[0].host,
            parameters[0].port,
            version=_version(connection),
            believed=DEFAULT,
            remedy="Raise it on the server to 30 minutes or more (1800000).",
        )
        dead = sum(state.messages for name in queues if (state := probe.queue(f"{name}.XQ")))
        if dead:
            yield note(
                "Dramatiq's dead letters",
                f"the .XQ queues hold {dead} messages",
                consequence="They do not run again by themselves, and RabbitMQ deletes them after a week.",
                remedy="Look at them in RabbitMQ's management, and move what is to run again back to its queue.",
            )
    finally:
        if connection.is_open:
            connection.close()


def _version(connection: Any) -> str:
    said = connection._impl.server_properties or {}  # noqa: SLF001 - pika has what the server says of itself nowhere else
    version = said.get("version", "")
    return version.decode() if isinstance(version, bytes) else str(version)


class _Probe:
    def __init__(self, broker: RabbitmqBroker, connection: Any, about: str) -> None:
        self._broker = broker
        self._connection = connection
        self.about = about

    def queue(self, name: str, /) -> QueueState | None:
        from pika import exceptions

        try:
            found = self._connection.channel().queue_declare(name, passive=True).method
        except exceptions.ChannelClosedByBroker:
            return None
        return QueueState(found.message_count, found.consumer_count)

    def other_shape(self, name: str, /) -> str | None:
        from pika import exceptions

        broker: Any = self._broker
        arguments = broker._build_queue_arguments(name)  # noqa: SLF001 - what Dramatiq declares is in no other place
        try:
            self._connection.channel().queue_declare(name, durable=True, arguments=arguments)
        except exceptions.ChannelClosedByBroker as problem:
            return str(problem.reply_text)
        return None

    def publish_nowhere(self, *, timeout: float) -> str | None:  # noqa: ARG002 - the connection has it
        from pika import exceptions

        channel = self._connection.channel()
        try:
            channel.confirm_delivery()
            for _ in range(TWICE):
                channel.basic_publish("", NOWHERE, b"")
        except exceptions.AMQPError as problem:
            return repr(problem)
        return None
