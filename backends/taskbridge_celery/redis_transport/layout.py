"""Where messages lie in Redis: in Kombu's own keys, as stock workers read and restore them, and in a few of ours."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kombu.utils.json import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK: Final = "taskbridge-"
"""What the tags of our deliveries begin with: these are renewed, and those of stock workers are not."""

LOWEST, HIGHEST = 0, 9


@dataclass(frozen=True, slots=True)
class Keys:
    """Full names of keys."""

    prefix: str
    unacked: str
    index: str
    separator: str
    steps: tuple[int, ...]
    """Kombu's priority steps, each of which is a list of its own."""

    @property
    def spoiled(self) -> str:
        """A hash: what cannot be read, until it is a dead letter in the store."""
        return f"{self.prefix}taskbridge.undecodable"

    @property
    def sweeper(self) -> str:
        return f"{self.prefix}taskbridge.sweeper"

    def idle(self, queues: Sequence[str], /) -> tuple[str, str]:
        """The sleepers, and the watcher, among the workers of these queues."""
        name = hashlib.sha256("\n".join(sorted(queues)).encode()).hexdigest()[:16]
        return f"{self.prefix}taskbridge.idle.{name}", f"{self.prefix}taskbridge.watcher.{name}"

    def list_at(self, queue: str, step: int, /) -> str:
        return f"{self.prefix}{queue}{self.separator}{step}" if step else f"{self.prefix}{queue}"

    def queue_of(self, key: str, /) -> str:
        """The queue of a list, or of itself."""
        return key.removeprefix(self.prefix).partition(self.separator)[0]

    def list_for(self, queue: str, payload: dict[str, Any], /) -> str:
        """The list on which this message belongs."""
        try:
            priority = max(min(int(payload["properties"]["priority"]), HIGHEST), LOWEST)
        except (KeyError, TypeError, ValueError):
            priority = LOWEST
        return self.list_at(queue, self.steps[bisect(self.steps, priority) - 1])


def tail(queue: str, /) -> bytes:
    """What follows a raw message in the hash of unacknowledged ones.

    Kombu writes `[message, exchange, routing key]` there. With an empty exchange it restores to exactly this queue.
    """
    return f',"",{json.dumps(queue)}]'.encode()


def wrapped(raw: bytes, queue: str, /) -> bytes:
    return b"[" + raw + tail(queue)


def unwrapped(value: bytes, queue: str, /) -> bytes:
    """The raw message, byte for byte, if it is we who wrapped it for this queue; else all that is there."""
    end = tail(queue)
    return value[1 : -len(end)] if value.startswith(b"[") and value.endswith(end) else value


def origin(value: bytes, /) -> tuple[dict[str, Any], str, str]:
    """Message, exchange and routing key of an unacknowledged message.

    Raises:
        ValueError: it is none.
    """
    match loads(value):
        case [{"properties": dict()} as payload, str(exchange), str(routing_key)]:
            return payload, exchange, routing_key
    raise ValueError("it is no message of Kombu's with its exchange and routing key")


def redelivered(payload: dict[str, Any], /) -> bytes:
    """The message as Kombu restores it: marked as redelivered, otherwise as it was."""
    for place in (payload.get("headers"), payload["properties"].get("delivery_info")):
        if isinstance(place, dict):
            place["redelivered"] = True
    text: str = dumps(payload)
    return text.encode()
