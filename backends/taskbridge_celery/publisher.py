"""Hands native messages to the broker: in a stated time, with an answer, safe in threads and after `os.fork()`."""

from __future__ import annotations

import os
import select
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed
from kombu.exceptions import BatchPublishError, LimitExceeded, OperationalError
from kombu.pools import ProducerPool

from taskbridge.errors import BrokerUnavailable, EnqueueError
from taskbridge_celery.confirms import Confirms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery import Celery
    from celery.app.amqp import task_message
    from kombu.messaging import Producer

CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 5
POOL_SECONDS: Final = 10
"""How long a thread waits for a connection where all are in use."""

Publication = tuple[str, "task_message", dict[str, Any]]
"""Task name, message, and options of Celery's `send_task_message`."""

_NO_RETRY = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}

_TRANSPORT_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "redis": {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "retry_on_timeout": False,
        "health_check_interval": 30,
        **_NO_RETRY,
    },
    # Kombu's own way to confirm waits for each message.
    "amqp": {"confirm_publish": False, "read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS, **_NO_RETRY},
}


class Publisher:
    """Publishes through Celery's own `send_task_message`, so that its signals are sent, on connections of its own.

    Their own, since the limits of time and the confirmations are ours: nothing is repeated behind the caller's back.
    """

    def __init__(self, app: Celery, label: str) -> None:
        self._app = app
        self._label = label
        self._lock = threading.Lock()
        self._pool: ProducerPool | None = None
        self._driver = ""
        _publishers.add(self)

    def publish(self, publications: Sequence[Publication], /) -> None:
        """Hand over one or many messages and wait until the broker has them.

        Raises:
            EnqueueError: after at most 5 s for connecting and 5 s for the answer (and 10 s where more threads enqueue
                than there are connections).
        """
        self.send(len(publications), partial(self._send_all, publications=publications))

    def send(self, count: int, send: Callable[[Producer], object], /) -> None:
        """Let `send` publish `count` messages on a producer of ours, and wait until the broker has them.

        Raises:
            EnqueueError: as `publish`.
        """
        pool = self._pool or self._open()
        try:
            producer = pool.acquire(block=True, timeout=POOL_SECONDS)
        except LimitExceeded as error:
            raise BrokerUnavailable(
                f"{self._label}: all {pool.limit} connections were in use for {POOL_SECONDS} s.", maybe_accepted=False
            ) from error
        is_sound = False
        try:
            self._connect(producer)
            self._send(producer, count, send)
            is_sound = True
        finally:
            if not is_sound and self._driver == "amqp":
                _drop(producer.connection)
            producer.release()

    def close(self) -> None:
        """Give back the connections. They are opened again at need."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.force_close_all()
            pool.connections.force_close_all()

    def forget(self) -> None:
        """In a child of `os.fork()`: leave the parent's connections alone."""
        self._lock = threading.Lock()
        if self._pool is not None:
            _inherited.append(self._pool)
            self._pool = None

    def _open(self) -> ProducerPool:
        with self._lock:
            if self._pool is None:
                connection = self._app.connection_for_write(connect_timeout=CONNECT_SECONDS)
                self._driver = connection.transport.driver_type
                connection.transport_options.update(_TRANSPORT_OPTIONS.get(self._driver, _NO_RETRY))
                limit = self._app.conf.broker_pool_limit or 10
                self._pool = ProducerPool(connection.Pool(limit), limit, Producer=self._app.amqp.Producer)
            return self._pool

    def _connect(self, producer: Producer) -> None:
        """Make sure of a live channel before anything is sent: what fails here was not accepted."""
        connection = producer.connection
        try:
            if self._driver == "amqp" and connection.connected and _has_news(connection):
                # A broker that closed the connection while it was idle said so on the socket.
                _drop(connection)
                producer.revive(connection)
            producer.channel  # noqa: B018 - opens the channel, and the connection if need be
        except (OperationalError, *connection.connection_errors, *connection.channel_errors) as error:
            if _is_login_refused(error):
                raise BrokerUnavailable(
                    f"{self._label} refuses the credentials: {error}", maybe_accepted=False
                ) from error
            problem = str(error).partition(" : <")[0]  # of Sentinels redis-py tells all about each client
            raise BrokerUnavailable(
                f"{self._label} cannot be reached (waited at most {CONNECT_SECONDS} s): {problem}", maybe_accepted=False
            ) from error

    def _send(self, producer: Producer, count: int, send: Callable[[Producer], object]) -> None:
        connection = producer.connection
        try:
            if self._driver == "redis":
                self._send_to_redis(producer, count, send)
            elif self._driver == "amqp":
                confirms = Confirms.of(producer.channel)
                confirms.expect(count)
                send(producer)
                confirms.wait(timeout=ANSWER_SECONDS)
            else:
                send(producer)
        except PreconditionFailed as error:
            raise EnqueueError(
                f"{self._label}: the queue exists in another shape than the URL asks for, and RabbitMQ does not change "
                f"a queue: {error.reply_text}. Ask for the shape it has (?priority=), name another queue, or delete it "
                f"once it is empty.",
                maybe_accepted=False,
            ) from error
        except NotFound as error:
            raise EnqueueError(
                f"{self._label}: {error.reply_text}. It is declared again by the next call.",
                maybe_accepted=count > 1,
            ) from error
        except (OperationalError, *connection.connection_errors, *connection.channel_errors) as error:
            raise BrokerUnavailable(
                f"{self._label} did not confirm the job within {ANSWER_SECONDS} s and may hold it: {error}",
                maybe_accepted=True,
            ) from error

    def _send_to_redis(self, producer: Producer, count: int, send: Callable[[Producer], object]) -> None:
        from taskbridge.brokers.redis import enqueuing

        with enqueuing(self._label):
            if count == 1:
                send(producer)
                return
            from taskbridge_celery.pushes import Pushes

            # Kombu's channel is asked for the batch. It is another one after each lost connection.
            producer.channel.create_publish_batch = partial(Pushes, producer.channel)
            try:
                with producer.batch(count):
                    send(producer)
            except BatchPublishError as error:
                raise error.__cause__ or error from error

    def _send_all(self, producer: Producer, *, publications: Sequence[Publication]) -> None:
        send: Callable[..., None] = self._app.amqp.send_task_message
        declared: set[Any] = producer.connection.declared_entities
        # RabbitMQ confirms and drops what has no queue, unless it must come back.
        more = {"mandatory": True} if self._driver == "amqp" else {}
        for name, message, options in publications:
            queue = options["queue"]
            mark = ("taskbridge", queue.name)
            if mark in declared:
                send(producer, name, message, declare=(), **options, **more)
            else:
                producer.maybe_declare(queue)
                send(producer, name, message, **options, **more)
                declared.add(mark)


def _drop(connection: Any) -> None:
    """Let go of a connection whose state is unknown; Kombu makes another at the next use."""
    connection.collect(socket_timeout=0.1)


def _is_login_refused(error: BaseException) -> bool:
    # By name: redis-py need not be installed for RabbitMQ. Kombu wraps what the client raises.
    return "AuthenticationError" in {type(error).__name__, type(error.__cause__).__name__} or isinstance(
        error, AccessRefused
    )


def _has_news(connection: Any) -> bool:
    socket = connection.connection.sock
    return bool(select.select([socket], [], [], 0)[0])


_publishers: weakref.WeakSet[Publisher] = weakref.WeakSet()
_inherited: list[Any] = []


def _forget_all() -> None:
    for publisher in _publishers:
        publisher.forget()


os.register_at_fork(after_in_child=_forget_all)
