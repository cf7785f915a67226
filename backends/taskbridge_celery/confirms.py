"""RabbitMQ's publisher confirms, for one message or a thousand in one round trip."""

from __future__ import annotations

import time
from typing import Any

from amqp.exceptions import MessageNacked, NotFound, RecoverableConnectionError


class Confirms:
    """What was published on one channel and is not confirmed yet."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._next_tag = 1
        self._pending: set[int] = set()
        self._refused = 0
        self._returned = 0
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)

    @classmethod
    def of(cls, channel: Any) -> Confirms:
        """The one of this channel, switched on at first use."""
        found: Confirms | None = getattr(channel, "taskbridge_confirms", None)
        if found is None:
            found = channel.taskbridge_confirms = cls(channel)
        return found

    def expect(self, count: int, /) -> None:
        """Say that this many messages will be published. A publish may read answers already."""
        self._pending.update(range(self._next_tag, self._next_tag + count))
        self._next_tag += count

    def wait(self, *, timeout: float) -> None:
        """Wait until the broker has confirmed all that was expected.

        Raises:
            MessageNacked: the broker refused some of them.
            NotFound: the queue of some of them is gone.
            RecoverableConnectionError, OSError: no answer within `timeout` seconds, or the connection broke.
        """
        deadline = time.monotonic() + timeout
        while self._pending:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise RecoverableConnectionError(f"{len(self._pending)} messages were not confirmed")
            self._channel.connection.drain_events(timeout=remaining)
        if self._returned:
            raise NotFound(f"{self._returned} messages came back, since their queue does not exist any more")
        if self._refused:
            raise MessageNacked(f"{self._refused} messages were refused")

    def _on_ack(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._pending = {pending for pending in self._pending if pending > tag}
        else:
            self._pending.discard(tag)

    def _on_return(self, *_: Any) -> None:
        # Of a mandatory message. Its confirmation follows all the same.
        self._returned += 1

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._refused += 1
        self._on_ack(tag, multiple)
