"""What this process holds of a broker: one registry, which outlives connections and channels."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from redis import exceptions

from taskbridge_celery.redis_transport.layout import origin, redelivered, unwrapped, wrapped
from taskbridge_celery.redis_transport.scripts import Scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis import Redis

    from taskbridge_celery.redis_transport.layout import Keys
    from taskbridge_celery.redis_transport.settings import Lease

logger = logging.getLogger("taskbridge.celery")

UNREACHABLE: Final = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)


@dataclass(slots=True)
class Held:
    """One delivery."""

    queue: str
    since: float
    confirmed: float
    """When the broker last said that it is ours; both by the monotonic clock."""
    is_settled: bool = False
    """Acknowledged by the worker, and not yet by the broker, which could not be reached."""


class Leases:
    """Holds, renews, acknowledges and gives back deliveries, by their tags. Any thread may call."""

    def __init__(self, client: Redis, keys: Keys, lease: Lease, *, keep: Callable[[Leases], object]) -> None:
        """`keep` starts what renews and recovers; it ends by itself, when `may_end()`."""
        self.client = client
        self.keys = keys
        self.lease = lease
        self.scripts = Scripts(client)
        self.channels: WeakSet[Any] = WeakSet()
        """Those that consume."""
        self.held: dict[str, Held] = {}
        self._start_keeping = keep
        self._is_kept = False
        self._lock = threading.Lock()

    def hold(self, tag: str, queue: str, /, *, since: float) -> None:
        """A delivery that was asked for at `since` is now ours to renew."""
        self.held[tag] = Held(queue, since, since)

    def keep(self, channel: Any, /) -> None:
        """Begin to renew and to recover, for a channel that consumes."""
        with self._lock:
            self.channels.add(channel)
            if not self._is_kept:
                self._is_kept = True
                self._start_keeping(self)

    def may_end(self) -> bool:
        """Asked by the thread: nothing is held, and nobody consumes."""
        with self._lock:
            if self.held or self.channels:
                return False
            self._is_kept = False
            return True

    def queues_of(self, exchange: str, routing_key: str, /) -> list[str]:
        """The queues to which an exchange routes: what stock workers hold says so, where ours name the queue."""
        if not exchange:
            return [routing_key]
        channel = next(iter(self.channels), None)
        return [] if channel is None else channel.queues_of(exchange, routing_key)

    def ack(self, tag: str, /) -> None:
        """Remove the delivery from the broker, at once or as soon as it can be reached. A lost one is left alone."""
        try:
            removed = self.scripts.ack(keys=[self.keys.unacked, self.keys.index], args=[tag])
        except UNREACHABLE as error:
            if (held := self.held.get(tag)) is not None and not held.is_settled:
                held.is_settled = True
                logger.warning("The broker will be told later that %s is done: %s", tag, error)
            return
        self.held.pop(tag, None)
        if not removed:
            logger.warning("%s is done, but its lease was lost before: another worker may run the job again.", tag)

    def is_ours(self, tag: str, /) -> bool:
        """Whether nobody has taken the delivery from us. Asks the broker only where the last renewal is long ago."""
        held = self.held.get(tag)
        if held is None:
            return False
        if monotonic() - held.confirmed < self.lease.length / 2:
            return True
        try:
            self.renew([tag])
        except UNREACHABLE:
            return False
        # Not by its answer: the keeper may have learned of the loss, and forgotten the tag, in the same moment.
        return tag in self.held

    def renew(self, tags: Iterable[str], /) -> list[str]:
        """Renew these, and forget those that are lost; the lost ones that nobody had forgotten before."""
        now = monotonic()
        wanted = list(tags)
        lost = [tag.decode() for tag in self.scripts.renew(keys=[self.keys.index], args=wanted)]
        forgotten = [tag for tag in lost if self.held.pop(tag, None) is not None]
        for tag in wanted:
            if (held := self.held.get(tag)) is not None:
                held.confirmed = now
        return forgotten

    def began(self, tag: str, payload: dict[str, Any], /) -> bool:
        """Write the message anew, with its count of crashes, before its body runs. False: the lease was lost."""
        held = self.held.get(tag)
        if held is None:
            return False
        value = wrapped(redelivered(payload), held.queue)
        return bool(self.scripts.begin(keys=[self.keys.unacked], args=[tag, value]))

    def give_back(self, tag: str, /, *, last: bool = False) -> None:
        """Put the delivery back on its queue as it was, to be taken next, or `last`."""
        held = self.held.pop(tag, None)
        if held is None:
            return
        try:
            value: Any = self.client.hget(self.keys.unacked, tag)
            if value is not None:
                payload, _, _ = origin(value)
                self.move(tag, value, payload, unwrapped(value, held.queue), [held.queue], last=last)
        except UNREACHABLE as error:
            logger.warning("%s could not be given back and will be recovered: %s", tag, error)

    def move(
        self,
        tag: str,
        value: bytes,
        payload: dict[str, Any],
        text: bytes,
        queues: Iterable[str],
        /,
        *,
        last: bool = False,
        score: bytes = b"",
    ) -> bool:
        """Put a message back that is still as it was seen; False if it is not."""
        arguments: list[Any] = [tag, value, score, "LPUSH" if last else "RPUSH"]
        for queue in queues:
            arguments += [self.keys.list_for(queue, payload), text]
        return bool(self.scripts.move(keys=[self.keys.unacked, self.keys.index], args=arguments))

    def spoil(self, tag: str, queue: str, /) -> None:
        """Set aside a message that cannot be delivered, until it is a dead letter in the store."""
        self.held.pop(tag, None)
        value: Any = self.client.hget(self.keys.unacked, tag)
        if value is not None:
            self.set_aside(tag, value, queue.encode() + b"\n" + unwrapped(value, queue))

    def set_aside(self, tag: str, value: bytes, text: bytes, /) -> None:
        keys = [self.keys.unacked, self.keys.index, self.keys.spoiled]
        self.scripts.spoil(keys=keys, args=[tag, value, text])

    def keep_only(self, tags: set[str], /) -> None:
        """Give back what nothing in this process will run any more."""
        for tag in [tag for tag, held in list(self.held.items()) if tag not in tags and not held.is_settled]:
            self.give_back(tag)


_registries: dict[tuple[Any, ...], Leases] = {}


def registry(identity: tuple[Any, ...], make: Callable[[], Leases], /) -> Leases:
    """The registry of this process for a broker."""
    if identity not in _registries:
        _registries[identity] = make()
    return _registries[identity]


os.register_at_fork(after_in_child=_registries.clear)
