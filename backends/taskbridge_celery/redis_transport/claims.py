"""Takes messages for a channel: when, how many, and what is done with the answer."""

from __future__ import annotations

import hashlib
import logging
import uuid
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from kombu.utils.json import loads
from redis import exceptions

from taskbridge_celery.redis_transport.layout import MARK, tail
from taskbridge_celery.redis_transport.leases import UNREACHABLE
from taskbridge_celery.redis_transport.scripts import CLAIM
from taskbridge_celery.redis_transport.waiter import Waiter

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("taskbridge.celery")

AT_MOST: Final = 8
"""Messages in one claim."""

IDLE_SECONDS: Final = 1.0
"""An idle worker asks this often even if nobody tells it anything, as a stock worker does."""

POLL_SECONDS: Final = 0.025
"""The watcher among idle workers, where the server cannot tell."""

PATIENCE: Final = 4
"""Seconds for which an idle worker that was not heard of still counts as one."""

_DIGEST: Final = hashlib.sha1(CLAIM.encode(), usedforsecurity=False).hexdigest()


class Claims:
    """One claim is out at a time. `start` sends it, `read` takes its answer, both called by the poller."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._waiter = Waiter(lambda: channel.async_pool, channel.global_keyprefix)
        self._name = f"{MARK}{uuid.uuid4().hex}."
        self._number = 0
        self._next = 0.0
        self._is_watcher = False
        self._is_watching = False
        self._lists: list[tuple[str, bool]] = []
        self._command: tuple[Any, ...] = ()
        self._sent = 0.0

    @property
    def waiter(self) -> Waiter:
        return self._waiter

    def woken(self) -> None:
        """Something has been told: claim at the next turn.

        Raises:
            Empty: always, which is Kombu's word for "no message".
        """
        self._next = 0.0
        try:
            self._waiter.drain()
        except self._channel.connection_errors:
            self._waiter.close()
        raise Empty

    def start(self) -> None:
        """Send a claim, if it is time for one."""
        if monotonic() < self._next:
            return
        channel = self._channel
        connection = channel.client.connection
        if not self._waiter.is_attached(connection):
            self._waiter.attach(connection)
            channel.connection.cycle.listen_to(channel, self._waiter)
        queues = channel.queues_in_turn()
        if not queues:
            return
        self._number += 1
        self._is_watching = self._is_watcher and self._waiter.is_told
        self._command = self._claim(queues, self._credit())
        self._send("EVALSHA", _DIGEST)

    def read(self) -> bool:
        """Deliver what the answer holds.

        Raises:
            Empty: nothing.
        """
        try:
            got, watches, broken = self._answer()
        except exceptions.NoScriptError:
            self._send("EVAL", CLAIM)
            raise Empty from None
        except exceptions.ResponseError as error:
            self._pause(f"Redis refuses to give out messages: {error}")
            raise Empty from None
        if broken:
            self._pause(f"Redis cannot give out some of the messages: {broken.decode()}")
        if not got:
            self._fall_asleep(is_watcher=bool(watches))
            raise Empty
        self._next = 0.0
        self._is_watcher = False
        return self._deliver(got)

    def take(self, queue: str, /) -> dict[str, Any] | None:
        """One message of this queue, at once, or None."""
        self._number += 1
        self._is_watching = False
        self._sent = monotonic()
        got, _, _ = self._channel.leases.client.eval(CLAIM, *self._claim([queue], 1))
        for tag, _, raw in got:
            if raw is not None:
                name = tag.decode()
                self._channel.leases.hold(name, queue, since=self._sent)
                return _addressed(raw, name)
        return None

    def _answer(self) -> Any:
        channel = self._channel
        connection = channel.client.connection
        try:
            if self._is_watching:
                channel.client.parse_response(connection, "CLIENT CACHING")
            return channel.client.parse_response(connection, "EVALSHA")
        except channel.connection_errors:
            # What was taken for us, and did not reach us, is recovered when its lease has run out.
            connection.disconnect()
            raise
        finally:
            channel.is_claiming(None)

    def _fall_asleep(self, *, is_watcher: bool) -> None:
        if is_watcher and self._waiter.is_told and not self._is_watching:
            self._next = 0.0
        elif not self._waiter.is_heard or (is_watcher and not self._waiter.is_told):
            self._next = monotonic() + POLL_SECONDS
            self._channel.connection.cycle.tick_every(POLL_SECONDS)
        else:
            self._next = monotonic() + IDLE_SECONDS
        self._is_watcher = is_watcher

    def _pause(self, reason: str) -> None:
        logger.error("%s", reason)
        self._next = monotonic() + IDLE_SECONDS

    def _claim(self, queues: Sequence[str], count: int) -> tuple[Any, ...]:
        channel = self._channel
        keys = channel.leases.keys
        self._lists = [(queue, queue not in channel.unregistered) for _ in keys.steps for queue in queues]
        lists = [keys.list_at(queue, step) for step in keys.steps for queue in queues]
        arguments: list[Any] = [
            keys.unacked, keys.index, keys.spoiled, *keys.idle(queues), self._waiter.channel_name,
            f"{self._name}{self._number}.", count, int(self._is_watching), PATIENCE,
        ]  # fmt: skip
        for key, (queue, registers) in zip(lists, self._lists, strict=True):
            arguments += [key, tail(queue), int(registers)]
        watched = lists if self._is_watching else []
        return (len(watched), *watched, *arguments)

    def _credit(self) -> int:
        qos = self._channel.qos
        # Celery's `worker_disable_prefetch` puts its own answer in this place: asked again after each message.
        if "can_consume" in vars(qos):
            return 1
        return min(qos.can_consume_max_estimate() or AT_MOST, AT_MOST)

    def _send(self, *script: str) -> None:
        connection = self._channel.client.connection
        self._sent = monotonic()
        self._channel.is_claiming(connection)
        if self._is_watching:
            connection.send_command("CLIENT", "CACHING", "YES")
        connection.send_command(*script, *self._command)

    def _deliver(self, got: list[Any]) -> bool:
        channel = self._channel
        taken = [(tag.decode(), *self._lists[at], raw) for tag, at, raw in got]
        for tag, queue, registers, raw in taken:
            if registers and raw is not None:
                channel.leases.hold(tag, queue, since=self._sent)
        delivered = 0
        try:
            while taken:
                delivered += self._hand_over(*taken.pop(0))
        finally:
            # After a lost connection, the others of the same answer.
            for tag, _, registers, raw in taken:
                if registers and raw is not None:
                    channel.leases.give_back(tag)
        if not delivered:
            raise Empty
        return True

    def _hand_over(self, tag: str, queue: str, registers: bool, raw: bytes | None) -> bool:
        channel = self._channel
        if raw is None:
            logger.error("A message on %r cannot be read and is set aside as %s.", queue, tag)
            return False
        if channel.is_closing:
            channel.leases.give_back(tag)
            return False
        try:
            payload = _addressed(raw, tag)
            channel.rotate(queue)
            channel.connection._deliver(payload, queue)  # noqa: SLF001 - Kombu's own way in
        except UNREACHABLE:
            raise
        except Exception:
            logger.exception("A message on %r cannot be delivered and is set aside as %s.", queue, tag)
            if registers:
                channel.leases.spoil(tag, queue)
                channel.qos.forget(tag)
            return False
        return True


def _addressed(raw: bytes, tag: str) -> dict[str, Any]:
    payload: dict[str, Any] = loads(raw)
    if not isinstance(payload, dict) or not isinstance(payload.get("properties"), dict):
        raise ValueError("it is no message of Kombu's")  # noqa: TRY004 - the text is of a wrong shape
    payload["properties"]["delivery_tag"] = tag
    return payload
