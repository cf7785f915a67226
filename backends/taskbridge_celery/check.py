"""What `taskbridge check` sees of Celery: its broker, and settings that it takes silently."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from celery.app.defaults import NAMESPACES, flatten
from kombu.exceptions import OperationalError

from taskbridge.check.amqp import NOWHERE, TWICE, QueueState, amqp_findings
from taskbridge.check.consumer_timeout import consumer_timeout_findings
from taskbridge.check.finding import error, unreachable, warning
from taskbridge_celery.confirms import Confirms
from taskbridge_celery.publisher import ANSWER_SECONDS, CONNECT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from celery import Celery

    from taskbridge.check.finding import Finding

CLOSE = 0.85
"""A name less like one of Celery's is taken for the application's own, which Celery allows."""

AMQP_PORT = 5672

LIMITS = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def broker_findings(app: Celery, queues: Sequence[str], /, *, consumer_timeout: timedelta) -> Iterator[Finding]:
    """Look at the server on a connection of its own, with limits of time.

    `consumer_timeout` is RabbitMQ's, as the URL or its default has it.
    """
    connection = app.connection_for_write(connect_timeout=CONNECT_SECONDS)
    is_redis = connection.transport.driver_type == "redis"
    waits = (
        {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS}
        if is_redis
        else {"confirm_publish": False, "read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS}
    )
    connection.transport_options.update({**LIMITS, **waits})
    try:
        channel = connection.default_channel
    except (OperationalError, *connection.connection_errors, *connection.channel_errors) as problem:
        yield unreachable(f"broker {connection.as_uri()}", problem)
        return
    try:
        if is_redis:
            from taskbridge.check.redis import redis_findings

            yield from redis_findings(channel.client)
        else:
            yield from amqp_findings(_Probe(app, connection), queues)
            yield from consumer_timeout_findings(
                connection.hostname or "localhost",
                connection.port or AMQP_PORT,
                version=str(connection.connection.server_properties.get("version", "")),
                believed=consumer_timeout,
                remedy="State the server's with ?consumer_timeout=, or change it there.",
            )
    finally:
        connection.collect(socket_timeout=0.1)


def setting_findings(app: Celery, /) -> Iterator[Finding]:
    """Settings of the application's own app that do nothing, or not what they seem to."""
    known = dict(flatten(NAMESPACES))
    app.conf.task_protocol  # noqa: B018 - reads the configuration, which is lazy
    for layer in app.conf.maps[:-1]:
        for key in layer:
            if key.startswith("_") or key in known or key == "deprecated_settings" or not key.islower():
                continue
            if meant := get_close_matches(key, known, n=1, cutoff=CLOSE):
                yield warning(
                    f"Celery setting {key}",
                    f"Celery has no such setting, and takes it silently. Did you mean {meant[0]!r}?",
                    consequence="It has no effect: the default stays in force.",
                    remedy="Correct its name.",
                )
    if app.conf.task_always_eager:
        yield error(
            "Celery setting task_always_eager",
            "it is on",
            consequence="Your app's own calls run their tasks in the caller, and lose them with it.",
            remedy="Take it out; for tests there is memory://.",
        )
    options = app.conf.broker_transport_options
    if app.connection_for_write().transport.driver_type == "amqp" and not options.get("confirm_publish"):
        yield warning(
            "Celery setting broker_transport_options",
            "confirm_publish is off",
            consequence="What your app itself publishes is lost when RabbitMQ crashes; TaskBridge's own jobs are not.",
            remedy="Set broker_transport_options = {'confirm_publish': True}.",
        )


class _Probe:
    """Each look has a channel of its own, since RabbitMQ closes the channel of one that fails."""

    def __init__(self, app: Celery, connection: Any) -> None:
        self._app = app
        self._connection = connection
        self.about = f"RabbitMQ at {connection.as_uri()}"

    def queue(self, name: str, /) -> QueueState | None:
        try:
            found = self._connection.channel().queue_declare(name, passive=True)
        except self._connection.channel_errors:
            return None
        return QueueState(found.message_count, found.consumer_count)

    def other_shape(self, name: str, /) -> str | None:
        try:
            self._app.amqp.queues[name](self._connection.channel()).queue_declare()
        except self._connection.channel_errors as problem:
            return str(getattr(problem, "reply_text", problem))
        return None

    def publish_nowhere(self, *, timeout: float) -> str | None:
        channel = self._connection.channel()
        try:
            confirms = Confirms.of(channel)
            for _ in range(TWICE):
                confirms.expect(1)
                channel.basic_publish(channel.prepare_message(b""), routing_key=NOWHERE)
                confirms.wait(timeout=timeout)
        except (*self._connection.connection_errors, *self._connection.channel_errors) as problem:
            return str(problem)
        return None
