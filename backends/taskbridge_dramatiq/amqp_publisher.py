"""Publishing to RabbitMQ: each message once.

`RabbitmqBroker.enqueue` publishes up to six times when a confirmation does not come, and so doubles a job whose
confirmation was lost. Here a message is published once: before it, a connection that the server has closed meanwhile
is found out and replaced; after it, the caller is told that the job may have been accepted.
"""

from __future__ import annotations

import select
import time
from ssl import SSLSocket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dramatiq.common import current_millis, dq_name, q_name
from dramatiq.errors import ConnectionClosed
from pika import BasicProperties, exceptions

from taskbridge.errors import BrokerUnavailable, EnqueueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dramatiq import Message as DramatiqMessage
    from dramatiq.brokers.rabbitmq import RabbitmqBroker
    from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

Delayed = tuple["DramatiqMessage[Any]", int | None]

CONNECT_SECONDS: Final = 5
FRESH_SECONDS: Final = 1
"""A connection that was used within this time is taken for open."""

_PRECONDITION_FAILED = 406
FAILURES: Final = (exceptions.AMQPError, OSError)
"""What pika raises; of the second kind are a name that no server has and a certificate that does not hold."""
_BROKEN: Final = (ConnectionClosed, *FAILURES)


def publish(broker: RabbitmqBroker, messages: Sequence[Delayed], label: str, /) -> None:
    """Enqueue (message, delay in milliseconds) pairs: one confirmed, or many in one transaction.

    Raises:
        EnqueueError: after at most 5 s for connecting; a server that falls silent is given up after at most 30 s.
    """
    with _Enqueuing(broker, label) as enqueuing:
        _prepare(broker, {message.queue_name for message, _ in messages})
        addressed = [(_addressed(message, delay), delay) for message, delay in messages]
        for message, delay in addressed:
            broker.emit_before("enqueue", message, delay)
        wires = [
            Wire(message.queue_name, message.encode(), message.options.get("broker_priority"))
            for message, _ in addressed
        ]
        if len(wires) == 1:
            _publish_one(broker, wires[0], enqueuing)
        else:
            _publish_many(broker, wires, enqueuing)
        for message, delay in addressed:
            broker.emit_after("enqueue", message, delay)


def put_back(broker: RabbitmqBroker, queue_name: str, payload: bytes, label: str, /) -> None:
    """Lay bytes on the queue.

    Raises:
        EnqueueError: as `publish`.
    """
    with _Enqueuing(broker, label) as enqueuing:
        _prepare(broker, {queue_name})
        _publish_one(broker, Wire(queue_name, payload, None), enqueuing)


class _Enqueuing:
    """Turns what pika and Dramatiq raise into `EnqueueError`, saying whether the jobs may have been accepted."""

    def __init__(self, broker: RabbitmqBroker, label: str) -> None:
        self._broker = broker
        self._label = label
        self.maybe_accepted = False
        """Once anything has been sent."""

    def __enter__(self) -> _Enqueuing:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            self._broker.state.used_at = time.monotonic()
        elif isinstance(error, exceptions.NackError):
            raise EnqueueError(f"{self._label} did not take the job: {error}", maybe_accepted=False) from error
        elif isinstance(error, _BROKEN):
            del self._broker.connection
            raise _enqueue_error(self._broker, self._label, error, maybe_accepted=self.maybe_accepted) from error


def _prepare(broker: RabbitmqBroker, queue_names: set[str]) -> None:
    """See to a connection that is open, as far as can be known, and to queues that exist."""
    _drop_closed_connection(broker)
    for queue_name in queue_names:
        broker.declare_queue(queue_name, ensure=True)


def _publish_one(broker: RabbitmqBroker, message: Wire, enqueuing: _Enqueuing) -> None:
    channel = broker.channel
    enqueuing.maybe_accepted = True
    try:
        message.publish(channel, is_mandatory=broker.confirm_delivery)
    except exceptions.UnroutableError:
        # The queue was deleted after this process declared it. Nothing was accepted.
        _declare_again(broker, {message.queue_name})
        message.publish(channel, is_mandatory=True)


def _publish_many(broker: RabbitmqBroker, messages: Sequence[Wire], enqueuing: _Enqueuing) -> None:
    """pika confirms one message at a time; a transaction is its public way to confirm a thousand at once."""
    channel = broker.connection.channel()
    returned: list[Wire] = []
    channel.add_on_return_callback(
        lambda _channel, method, properties, body: returned.append(Wire(method.routing_key, body, properties.priority))
    )
    channel.tx_select()
    for message in messages:
        message.publish(channel, is_mandatory=True)
    enqueuing.maybe_accepted = True
    channel.tx_commit()
    # pika calls back from here alone. What was returned came before the answer to the commit.
    broker.connection.process_data_events(0)
    channel.close()
    if returned:
        _declare_again(broker, {message.queue_name for message in returned})
        _publish_many(broker, returned, enqueuing)


class Wire(NamedTuple):
    """What is given to RabbitMQ."""

    queue_name: str
    body: bytes
    priority: int | None

    def publish(self, channel: BlockingChannel, *, is_mandatory: bool) -> None:
        channel.basic_publish(
            exchange="",
            routing_key=self.queue_name,
            body=self.body,
            properties=BasicProperties(delivery_mode=2, priority=self.priority),
            mandatory=is_mandatory,
        )


def _addressed(message: DramatiqMessage[Any], delay: int | None) -> DramatiqMessage[Any]:
    if delay is None:
        return message
    return message.copy(queue_name=dq_name(message.queue_name), options={"eta": current_millis() + delay})


def _declare_again(broker: RabbitmqBroker, queue_names: set[str]) -> None:
    """Make queues that were deleted after this process declared them."""
    for canonical in {q_name(queue_name) for queue_name in queue_names}:
        broker.queues_pending.add(canonical)
        broker.declare_queue(canonical, ensure=True)


def _drop_closed_connection(broker: RabbitmqBroker) -> None:
    """Find out, before anything is written, whether the server has closed an idle connection."""
    connection = getattr(broker.state, "connection", None)
    if connection is None or time.monotonic() - getattr(broker.state, "used_at", 0.0) < FRESH_SECONDS:
        return
    if not has_news(connection):
        return
    try:
        connection.process_data_events(0)
    except FAILURES:
        del broker.connection


def has_news(connection: BlockingConnection, /) -> bool:
    """Whether the server has sent what is not read yet, its farewell or a heartbeat; True where that cannot be seen."""
    socket: Any = getattr(getattr(connection._impl, "_transport", None), "_sock", None)  # noqa: SLF001 - pika's own look costs twenty times as much
    if socket is None or isinstance(socket, SSLSocket):
        return True
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _enqueue_error(broker: RabbitmqBroker, label: str, error: Exception, *, maybe_accepted: bool) -> EnqueueError:
    cause = error.message if isinstance(error, ConnectionClosed) else error
    if is_other_shape(cause):
        return EnqueueError(other_shape(broker, label, cause), maybe_accepted=False)
    if isinstance(cause, exceptions.AuthenticationError | exceptions.ProbableAuthenticationError):
        return BrokerUnavailable(f"{label} refuses the credentials: {cause}", maybe_accepted=False)
    if isinstance(cause, exceptions.ProbableAccessDeniedError):
        return BrokerUnavailable(f"{label}: the server has no such vhost for this user: {cause}", maybe_accepted=False)
    if maybe_accepted:
        return BrokerUnavailable(f"{label} did not confirm the job and may hold it: {cause!r}", maybe_accepted=True)
    return BrokerUnavailable(
        f"{label} cannot be reached (waited at most {CONNECT_SECONDS} s): {cause!r}", maybe_accepted=False
    )


def is_other_shape(cause: object) -> bool:
    return getattr(cause, "reply_code", None) == _PRECONDITION_FAILED


def other_shape(broker: RabbitmqBroker, label: str, cause: object) -> str:
    asked = f"with priorities 0 to {broker.max_priority}" if broker.max_priority else "without priorities"
    return (
        f"{label} asks for queues {asked}, and one exists in another shape, which is fixed when a queue is made "
        f"({getattr(cause, 'reply_text', cause)}). Make ?priority= fit, name another queue, or delete the queue when "
        f"it is empty."
    )
