"""Many messages for Redis: one command for up to a thousand of a list, where Kombu's own batch sends one for each.

`Producer.publish` fills it as it fills Kombu's. The first message of each list goes the whole way through Kombu; what
became of it says where the others go and how they are written, and where ours would differ they go that way too.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import msgspec
from kombu.transport.redis import PublishBatch
from kombu.utils import json as kombu_json

from taskbridge.identity import new_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE: Final = 1_000
"""Values that one command pushes at most, since Redis serves nobody else meanwhile."""

Place = tuple[str, str, Any]
"""Exchange, routing key and priority: what decides on the list."""

_encode: Final = msgspec.json.Encoder().encode
_PLAIN: Final = frozenset({str, int, bool, type(None)})


class Pushes(PublishBatch):
    """One batch on one of Kombu's Redis channels. It is sent when the batch ends, in one round trip."""

    def __init__(self, channel: Any, max_size: int) -> None:
        del max_size  # nothing is sent before the end
        super().__init__(channel, max_size=1 << 62)
        self._keys: dict[Place, str | None] = {}
        """The list that a place means; None where Kombu does more than to push."""
        self._values: dict[str, list[bytes]] = {}
        self._commands: list[tuple[str, tuple[Any, ...]]] = []
        self._tags = _tags()

    def publish(self, message: dict[str, Any], *, exchange: str, routing_key: str, **options: Any) -> Any:
        place = (exchange, routing_key, message["properties"]["priority"])
        key = self._keys.get(place)
        if key is not None:
            self._values.setdefault(key, []).append(_text(self._addressed(message, place)))
            return None
        self._gather()
        is_new = place not in self._keys
        ours = self._addressed(copy.deepcopy(message), place) if is_new else None
        self._commands.clear()
        answer = super().publish(message, exchange=exchange, routing_key=routing_key, **options)
        if ours is not None:
            ours["properties"]["delivery_tag"] = message["properties"].get("delivery_tag")
            self._keys[place] = _list_of(self._commands, _text(ours))
        return answer

    def add(self, name: str, *args: Any) -> None:
        self._commands.append((name, args))
        super().add(name, *args)

    def flush(self) -> None:
        self._gather()
        # What is published after this begins with Kombu again, whose buffer is what is sent.
        self._keys.clear()
        super().flush()

    def discard(self) -> None:
        self._values.clear()
        super().discard()

    def _gather(self) -> None:
        """Before a message goes through Kombu, so that all stay in their order."""
        for key, values in self._values.items():
            for start in range(0, len(values), AT_ONCE):
                self.pipeline.lpush(key, *values[start : start + AT_ONCE])
        self._values.clear()

    def _addressed(self, message: dict[str, Any], place: Place) -> dict[str, Any]:
        """What Kombu's channel adds to a message, which it changes."""
        properties = message["properties"]
        message["body"], properties["body_encoding"] = self.channel.encode_body(
            message["body"], self.channel.body_encoding
        )
        properties["delivery_tag"] = next(self._tags)
        properties["delivery_info"].update(exchange=place[0], routing_key=place[1])
        return message


def _list_of(commands: list[tuple[str, tuple[Any, ...]]], ours: bytes) -> str | None:
    """The list onto which a message was pushed, if that was all, and if we would have written the same octets."""
    if len(commands) != 1 or commands[0][0] != "lpush":
        return None
    key, theirs = commands[0][1]
    return str(key) if ours == theirs.encode() else None


def _text(message: dict[str, Any]) -> bytes:
    """What Kombu's own encoder would write, octet for octet."""
    if _is_plain(message["headers"]) and _is_plain(message["properties"]):
        try:
            text = msgspec.json.format(_encode(message), indent=0)
        except (OverflowError, UnicodeError):
            pass  # an integer beyond 64 bits, a lone surrogate
        else:
            if text.isascii() and b"\x7f" not in text:
                return text
    # Kombu escapes all else, and has a form for types that a receiver of `before_task_publish` may have put in.
    theirs: str = kombu_json.dumps(message)
    return theirs.encode()


def _is_plain(value: Any) -> bool:
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind not in _PLAIN and not ((kind is dict or kind is list) and _is_plain(item)):
            return False
    return True


def _tags() -> Iterator[str]:
    while True:
        yield from new_ids(AT_ONCE)
