"""Kombu's Redis transports with our channels, and how a worker's app comes to use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.asynchronous import get_event_loop
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from kombu.utils import symbol_by_name

from taskbridge_celery.redis_transport import carried, recovery
from taskbridge_celery.redis_transport.channel import LeasedChannel, LeasedSentinelChannel
from taskbridge_celery.redis_transport.claims import IDLE_SECONDS
from taskbridge_celery.redis_transport.request import leased

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from taskbridge.backend import Run
    from taskbridge_celery.redis_transport.waiter import Waiter


class Poller(kombu_redis.MultiChannelPoller):
    """Reads each answer at once: a claim asks for no more than there is credit for."""

    def __init__(self) -> None:
        super().__init__()
        self._tick: float | None = None

    def listen_to(self, channel: Any, waiter: Waiter, /) -> None:
        """Watch the connection of a waiter, which has connected."""
        for known in [known for known in self._chan_to_sock if known[0] is channel and known[2] == "WAKE"]:
            del self._chan_to_sock[known]
        for number in [number for number, (of, kind) in self._fd_to_chan.items() if of is channel and kind == "WAKE"]:
            del self._fd_to_chan[number]
        self._register(channel, waiter, "WAKE")

    def tick_every(self, seconds: float, /) -> None:
        """Have Celery's event loop turn this often, where nothing else wakes it."""
        if self._tick is None:
            self._tick = seconds
            if (loop := get_event_loop()) is not None:
                loop.call_repeatedly(seconds, _nothing)

    def on_readable(self, fileno: int) -> None:
        known = self._fd_to_chan.get(fileno)
        if known is not None:
            channel, kind = known
            channel.handlers[kind]()

    def get(self, callback: Any, timeout: float | None = None) -> None:
        longest = self._tick or IDLE_SECONDS
        super().get(callback, longest if timeout is None else min(timeout, longest))

    def maybe_restore_messages(self) -> None:
        """Not here: the thread of the leases does it."""

    def on_poll_init(self, poller: Any) -> None:
        self.poller = poller

    def _update_brpop_polling(self) -> None:
        """Nothing is ever left unread."""


def _nothing() -> None: ...


class LeasedTransport(kombu_redis.Transport):
    """For workers on one Redis."""

    Channel = LeasedChannel

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cycle = Poller()


class LeasedSentinelTransport(kombu_redis.SentinelTransport):
    """For workers on Redis behind Sentinel."""

    Channel = LeasedSentinelChannel

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cycle = Poller()


class LeasedConnection(Connection):
    """A connection whose transport is ours where it would be Kombu's for Redis; failover to another URL included."""

    def get_transport_cls(self) -> type:
        stock: type = super().get_transport_cls()
        ours: dict[type, type] = {
            kombu_redis.Transport: LeasedTransport,
            kombu_redis.SentinelTransport: LeasedSentinelTransport,
        }
        return ours.get(stock, stock)


def install(app: Celery, run: Run, names: Iterable[str], /) -> None:
    """Let the worker of this app consume through our transport, and begin the tasks of these names under a lease."""
    app.amqp.Connection = LeasedConnection
    recovery.park[:] = [run.park]
    carried.watch()
    for name in names:
        task = app.tasks[name]
        task.Request = leased(symbol_by_name(task.Request))
