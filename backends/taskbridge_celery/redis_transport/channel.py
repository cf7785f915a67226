"""Kombu's Redis channels, which take messages by one script instead of BRPOP and a note."""

from __future__ import annotations

from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from kombu.transport import redis as kombu_redis
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskbridge_celery.redis_transport import carried
from taskbridge_celery.redis_transport.claims import Claims
from taskbridge_celery.redis_transport.keeper import keep
from taskbridge_celery.redis_transport.layout import Keys
from taskbridge_celery.redis_transport.leases import Leases, registry
from taskbridge_celery.redis_transport.qos import LeasedQoS
from taskbridge_celery.redis_transport.settings import Lease

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_SECONDS = 5


class Leased:
    """What our channels have over Kombu's, with Sentinel or without."""

    QoS = LeasedQoS
    connection: Any
    client: Any
    qos: Any
    closed: bool

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.unregistered: set[str] = set()
        """Queues whose messages need no acknowledgement, such as replies of remote control."""
        super().__init__(*arguments, **options)
        self.handlers: dict[str, Any]
        self.handlers["WAKE"] = self._woken

    @cached_property
    def leases(self) -> Leases:
        """The registry of this process for this broker."""
        identity = (*self.place(), self.keys, tuple(self.connection.client.alt))
        return registry(identity, self._open_leases)

    def place(self) -> tuple[Any, ...]:
        """What tells this broker from another."""
        params = self._connparams()
        return tuple(params.get(each) for each in ("host", "port", "path", "db", "username"))

    @cached_property
    def keys(self) -> Keys:
        channel: Any = self
        prefix = channel.global_keyprefix
        return Keys(
            prefix,
            f"{prefix}{channel.unacked_key}",
            f"{prefix}{channel.unacked_index_key}",
            channel.sep,
            tuple(channel.priority_steps),
        )

    @cached_property
    def claims(self) -> Claims:
        return Claims(self)

    @property
    def is_closing(self) -> bool:
        return bool(self._closing)  # type: ignore[attr-defined]  # of Kombu's channel

    def is_claiming(self, connection: Any, /) -> None:
        """Kombu watches for an answer that does not come, by these names."""
        self._in_poll = connection
        self._brpop_sent_at = monotonic()

    def queues_in_turn(self) -> Sequence[str]:
        channel: Any = self
        queues: Sequence[str] = channel._queue_cycle.consume(len(channel.active_queues))  # noqa: SLF001 - its own
        return queues

    def rotate(self, queue: str, /) -> None:
        channel: Any = self
        channel._queue_cycle.rotate(queue)  # noqa: SLF001 - its own

    def queues_of(self, exchange: str, routing_key: str, /) -> list[str]:
        channel: Any = self
        queues: list[str] = channel._lookup(exchange, routing_key)  # noqa: SLF001 - its own
        return queues

    def basic_consume(self, queue: str, no_ack: bool = False, *arguments: Any, **options: Any) -> Any:
        if no_ack:
            self.unregistered.add(queue)
        consumed = super().basic_consume(queue, no_ack, *arguments, **options)  # type: ignore[misc]  # of Kombu's channel
        channel: Any = self
        if not no_ack and queue in channel.active_queues and self not in self.leases.channels:
            running = carried.tags()
            if running is not None:
                self.leases.keep_only(running)
            self.leases.keep(self)
        return consumed

    def basic_get(self, queue: str, no_ack: bool = False, **options: Any) -> Any:
        """One message, registered in the same step as it is taken."""
        if no_ack:
            return super().basic_get(queue, no_ack=True, **options)  # type: ignore[misc]  # of Kombu's channel
        payload = self.claims.take(queue)
        if payload is None:
            return None
        message = self.Message(payload, channel=self)  # type: ignore[attr-defined]  # of Kombu's channel
        self.qos.append(message, message.delivery_tag)
        self.leases.keep(self)
        return message

    def close(self) -> None:
        super().close()  # type: ignore[misc]  # of Kombu's channel
        if "leases" in vars(self):
            self.leases.channels.discard(self)
        if "claims" in vars(self):
            self.claims.waiter.close()

    def _open_leases(self) -> Leases:
        pool = self._get_pool()  # type: ignore[attr-defined]  # of Kombu's channel
        # Any thread of a pool may acknowledge, and none may wait for ever. All scripts may be repeated.
        pool.max_connections = 2**31
        pool.connection_kwargs |= {
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": ANSWER_SECONDS,
            "retry": Retry(NoBackoff(), 1),
        }
        lease = Lease.of(self.connection.client.transport_options)
        return Leases(Redis(connection_pool=pool), self.keys, lease, keep=keep)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]  # as above
        # What is told to a subscriber has another shape in RESP3.
        return {**parameters, "protocol": 2}

    def _brpop_start(self, timeout: Any = None) -> None:  # noqa: ARG002 - Kombu's signature
        self.claims.start()

    def _brpop_read(self, **_: Any) -> bool:
        return self.claims.read()

    def _woken(self) -> None:
        self.claims.woken()


class LeasedChannel(Leased, kombu_redis.Channel):
    """One Redis."""


class LeasedSentinelChannel(Leased, kombu_redis.SentinelChannel):
    """Redis behind Sentinel."""

    def place(self) -> tuple[Any, ...]:
        """Whichever Sentinel is asked, it is the same broker."""
        params = self._connparams()
        return (self.master_name, params.get("db"), params.get("username"))
