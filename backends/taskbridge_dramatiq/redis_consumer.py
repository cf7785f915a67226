"""A consumer for Dramatiq's Redis broker that loses nothing and leaves nothing behind.

Dramatiq's own forgets what it holds whenever its connection fails: a batch whose reply was lost, delayed jobs in its
memory, and a whole batch in which one message cannot be decoded stay marked as its own, and nobody runs them while the
process lives. This one knows which messages the worker was given, and returns the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from dramatiq.broker import Consumer
from dramatiq.common import compute_backoff, current_millis
from dramatiq.errors import ConnectionClosed
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from taskbridge.errors import UndecodableMessage, UnknownTask
from taskbridge_dramatiq.held import Held
from taskbridge_dramatiq.scripts import ACK, BURY, FETCH, RETURN
from taskbridge_dramatiq.wire import decode, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from dramatiq import Message as DramatiqMessage
    from dramatiq.broker import MessageProxy
    from redis import Redis

    from taskbridge.message import Message, Parked
    from taskbridge_dramatiq.lease import Lease
    from taskbridge_dramatiq.redis_keys import Keys

logger = logging.getLogger("taskbridge.dramatiq")

SETTLE_SECONDS: Final = 5.0
"""For so long a settlement waits for a Redis that is away; Dramatiq then sleeps as long before it tries again."""

_AT_ONCE: Final = 1000
_SETTLE_PAUSE_SECONDS: Final = 0.2


class LeasedMessage(Held):
    """A message that a worker holds."""

    def __init__(
        self, message: DramatiqMessage[Any], *, redis_id: str, queue_name: str, lease_id: str, was_recovered: bool
    ) -> None:
        super().__init__(message)
        self.redis_id = redis_id
        self.held_on = queue_name
        """Where it was fetched: for a delayed message, the queue of those."""
        self.lease_id = lease_id
        self.was_recovered = was_recovered
        """Whether a worker died that had it."""


class ConsumersBroker(Protocol):
    """What a consumer asks of its broker."""

    @property
    def client(self) -> Redis: ...
    @property
    def lease(self) -> Lease: ...
    @property
    def actors(self) -> Mapping[str, object]: ...
    @property
    def delay_queues(self) -> Collection[str]: ...
    @property
    def park(self) -> Callable[..., bool]:
        """`Run.park`."""

    def keys(self, queue_name: str, /) -> Keys: ...
    def held(self, queue_name: str, /) -> dict[str, str]: ...
    def release(self, message: LeasedMessage, /) -> None: ...


class LeasedConsumer(Consumer):
    """Fetches messages; what it fetched and could not hand on goes back to the queue, or is parked."""

    def __init__(self, broker: ConsumersBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        self._broker = broker
        self._queue_name = queue_name
        self._keys = broker.keys(queue_name)
        self._prefetch = prefetch
        self._timeout = timeout
        self._fetched: deque[tuple[bytes, bytes, bytes | None]] = deque()
        self._misses = 0
        self._room = threading.Event()
        self._held = broker.held(queue_name)
        broker.lease.serve(queue_name)
        self._lease_id = broker.lease.id
        self._is_delayed = queue_name in broker.delay_queues
        if self._is_delayed:
            # The thread that holds delayed jobs forgets them before it makes a new consumer.
            self._held.clear()
        with _connection_closed():
            self._return_what_is_not_held()

    def __next__(self) -> MessageProxy | None:
        if self._lease_id != self._broker.lease.id:
            raise ConnectionClosed("the lease is lost")  # type: ignore[no-untyped-call]  # it has no annotations
        with _connection_closed():
            while self._fetched or self._fetch():
                redis_id, data, count = self._fetched.popleft()
                message = self._decode(redis_id, data)
                if message is not None:
                    self._held[message.options["redis_message_id"]] = self._lease_id
                    return LeasedMessage(
                        message,
                        redis_id=message.options["redis_message_id"],
                        queue_name=self._queue_name,
                        lease_id=self._lease_id,
                        was_recovered=count is not None,
                    )
        return None

    def ack(self, message: MessageProxy) -> None:
        self._settle(message, lambda held, keys: ACK(self._broker.client, keys[:2] + keys[3:], held.redis_id))

    def nack(self, message: MessageProxy) -> None:
        self._settle(message, lambda held, keys: BURY(self._broker.client, keys, held.redis_id, current_millis()))

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        held = [message for message in messages if isinstance(message, LeasedMessage)]
        with _connection_closed():
            for lease_id in {message.lease_id for message in held}:
                self._return(lease_id, [message.redis_id for message in held if message.lease_id == lease_id])
        for message in held:
            self._held.pop(message.redis_id, None)

    def close(self) -> None:
        self._fetched.clear()
        with _connection_closed():
            self._return_what_is_not_held()

    def _fetch(self) -> bool:
        room = self._prefetch - len(self._held)
        if room <= 0:
            self._room.wait(self._timeout / 1000)
            self._room.clear()
            return False
        keys = self._keys
        reply = FETCH(
            self._broker.client,
            (keys.list, keys.messages, keys.acks(self._lease_id), keys.leases, keys.crashes),
            self._lease_id,
            min(room, _AT_ONCE),
        )
        if reply:
            redis_ids, messages, counts = reply
            counts = counts or [None] * len(redis_ids)
            for redis_id, data, count in zip(redis_ids, messages, counts, strict=True):
                if data is None:
                    ACK(self._broker.client, (keys.acks(self._lease_id), keys.messages), redis_id)
                else:
                    self._fetched.append((redis_id, data, count))
        if self._fetched:
            self._misses = 0
            return True
        self._misses, milliseconds = compute_backoff(self._misses, max_backoff=self._timeout)
        time.sleep(milliseconds / 1000)
        return False

    def _settle(self, message: MessageProxy, command: Any) -> None:
        # Repeated by Dramatiq until it succeeds; the script does nothing the second time.
        assert isinstance(message, LeasedMessage)
        if self._held.get(message.redis_id) != message.lease_id:
            return
        keys = self._keys
        crashes = (keys.crashes,) if message.was_recovered else ()
        with _connection_closed():
            _again_soon(lambda: command(message, (keys.acks(message.lease_id), keys.messages, keys.dead, *crashes)))
        self._broker.release(message)
        self._room.set()

    def _return_what_is_not_held(self) -> None:
        members: set[bytes] = self._broker.client.smembers(self._keys.acks(self._lease_id))  # type: ignore[assignment]  # ours does not decode
        redis_ids = sorted(
            redis_id for redis_id in members if self._held.get(redis_id.decode(errors="replace")) != self._lease_id
        )
        if redis_ids:
            logger.info("%d messages return to the queue %r.", len(redis_ids), self._queue_name)
            self._return(self._lease_id, redis_ids)

    def _return(self, lease_id: str, redis_ids: Iterable[str | bytes]) -> None:
        keys, ordered = self._keys, list(redis_ids)
        for end in range(len(ordered), 0, -_AT_ONCE):
            batch = ordered[max(0, end - _AT_ONCE) : end]
            RETURN(self._broker.client, (keys.acks(lease_id), keys.list, keys.messages), *batch)

    def _decode(self, redis_id: bytes, data: bytes) -> DramatiqMessage[Any] | None:
        """The message, unless no task can be given it: then it is parked."""
        try:
            message = decode(data, queue_name=self._queue_name, redis_id=redis_id.decode())
        except (UndecodableMessage, UnicodeDecodeError) as error:
            self._park(redis_id, data, "undecodable", error)
            return None
        if not self._is_delayed and message.actor_name not in self._broker.actors:
            words = f"No task is called {message.actor_name!r} in this worker: name its module in `imports`."
            self._park(redis_id, data, "unknown task", UnknownTask(words), readable(message))
            return None
        return message

    def _park(self, redis_id: bytes, data: bytes, reason: Parked, error: Exception, job: Message | None = None) -> None:
        """Keep it in the store and in Dramatiq's dead letters, where its users look; in these alone if it must be."""
        self._broker.park(data, queue_name=self._keys.canonical, reason=reason, error=error, message=job)
        keys = self._keys
        acks = keys.acks(self._lease_id)
        BURY(self._broker.client, (acks, keys.messages, keys.dead, keys.crashes), redis_id, current_millis())


def _again_soon(command: Callable[[], object]) -> None:
    """Run a command, again and again while Redis is away: this thread runs no job before it has settled."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            command()
        except RedisConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(_SETTLE_PAUSE_SECONDS)
        else:
            return


@contextmanager
def _connection_closed() -> Iterator[None]:
    """Dramatiq tries again after its own error, and takes any other for a bug."""
    try:
        yield
    except RedisError as error:
        raise ConnectionClosed(error) from error  # type: ignore[no-untyped-call]  # it has no annotations
