"""Gives out again what dead workers held, and buries what nobody can read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from redis import exceptions

from taskbridge.errors import UndecodableMessage
from taskbridge_celery.redis_transport.layout import MARK, origin, redelivered

if TYPE_CHECKING:
    from taskbridge_celery.redis_transport.leases import Leases

logger = logging.getLogger("taskbridge.celery")

PAGES: Final = 20
"""A sweep looks at no more than 2,000 deliveries; the next one goes on."""


class Park(Protocol):
    """`Run.park`."""

    def __call__(self, payload: bytes, /, *, queue_name: str, reason: Any, error: Exception) -> bool: ...


park: list[Park] = []
"""What keeps dead letters, once a worker serves."""


def recover(leases: Leases, /) -> int:
    """One sweep; how many messages it has put back. Of all workers one sweeps a second; any number may."""
    skipped = moved = 0
    for _ in range(PAGES):
        kept, due = leases.scripts.due(
            keys=[leases.keys.unacked, leases.keys.index, leases.keys.sweeper],
            args=[leases.lease.length, leases.lease.foreign, MARK, skipped, int(leases.lease.sweep * 900)],
        )
        if due and _has_just_started(leases):
            break
        moved += sum(_put_back(leases, *entry) for entry in due)
        if kept < 0:
            break
        skipped += kept
    return moved


def _put_back(leases: Leases, tag: bytes, score: bytes, value: bytes) -> bool:
    name = tag.decode()
    try:
        payload, exchange, routing_key = origin(value)
    except ValueError:
        leases.set_aside(name, value, b"\n" + value)
        return False
    queues = leases.queues_of(exchange, routing_key)
    if not queues or not leases.move(name, value, payload, redelivered(payload), queues, score=score):
        return False
    headers = payload.get("headers")
    job = headers.get("id", name) if isinstance(headers, dict) else name
    logger.warning("%s is given out again: the worker that held it has not renewed it.", job)
    return True


def _has_just_started(leases: Leases) -> bool:
    """Whether the server has been up for less than a lease: while it was away, the living could not renew either."""
    try:
        uptime: Any = leases.client.info("server")["uptime_in_seconds"]
    except (exceptions.ResponseError, KeyError):
        return False
    return bool(uptime <= leases.lease.length)


def bury(leases: Leases, /) -> None:
    """Hand what was set aside to the store of dead letters. What it does not take stays where it is."""
    if not park or not leases.client.exists(leases.keys.spoiled):
        return
    for tag, value in leases.client.hscan_iter(leases.keys.spoiled, count=100):
        place, _, raw = value.partition(b"\n")
        name = leases.keys.queue_of(place.decode("utf-8", "replace"))
        error = UndecodableMessage(f"No Celery message can be read from {len(raw)} bytes on {name!r}.")
        if not park[0](raw, queue_name=name, reason="undecodable", error=error):
            return
        leases.client.hdel(leases.keys.spoiled, tag)
