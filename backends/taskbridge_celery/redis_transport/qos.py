"""Kombu's record of what a channel has delivered, with the registry of leases behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.transport import virtual

from taskbridge_celery.redis_transport import carried

if TYPE_CHECKING:
    from taskbridge_celery.redis_transport.leases import Leases


class LeasedQoS(virtual.QoS):
    """Counts prefetch credit. The claim has already registered what is appended here."""

    @property
    def _leases(self) -> Leases:
        leases: Leases = self.channel.leases
        return leases

    def ack(self, delivery_tag: str) -> None:
        self._leases.ack(delivery_tag)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if requeue:
            self._leases.give_back(delivery_tag, last=True)
        else:
            self._leases.ack(delivery_tag)
        super().ack(delivery_tag)

    def restore_unacked(self, client: Any = None) -> list[Any]:  # noqa: ARG002 - Kombu's signature
        self._flush()
        for tag in reversed(self._delivered):
            self._leases.give_back(tag)
        self._delivered.clear()
        return []

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """At the end of a channel. A worker that only lost its connection goes on with what its processes run."""
        if carried.tags() is None:
            super().restore_unacked_once(stderr)
            return
        self._on_collect.cancel()
        self._delivered.clear()
        self._delivered.restored = True

    def forget(self, delivery_tag: str, /) -> None:
        """A delivery that is neither acknowledged nor rejected: it was set aside."""
        self._delivered.pop(delivery_tag, None)

    def restore_visible(self, *_: Any, **__: Any) -> None:
        """Not here: the thread of the leases does it."""
