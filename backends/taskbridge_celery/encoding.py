"""How arguments become the body of a Celery message, and what Kombu's reading would change on the way.

Kombu reads `{"__type__": ..., "__value__": ...}` as a value of another type, so a user's own dict of that shape would
arrive as a Decimal or break the message. We wrap it once: it travels as Kombu's form of bytes that hold its JSON. Plain
JSON values never have bytes, so the reader knows what it sees.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from kombu.serialization import registry
from kombu.utils import json as kombu_json

SERIALIZER: Final = "taskbridge-json"
"""Kombu's name for our encoder. What it writes is `application/json`, which every Celery reads."""

TAG_KEYS: Final = {"__type__", "__value__"}

_encode = msgspec.json.Encoder().encode


def encode_body(body: Any, /) -> bytes:
    """The JSON text of a protocol 2 body, in Kombu's dialect."""
    try:
        text = _encode(body)
    except (TypeError, OverflowError, msgspec.MsgspecError):
        # Integers beyond 64 bits, or what a receiver of `before_task_publish` put in.
        text = kombu_json.dumps(body).encode()
    return text if b"__type__" not in text else kombu_json.dumps(_wrapped(body)).encode()


def unwrap(value: Any, /) -> Any:
    """The plain JSON value that the sender had."""
    if type(value) is bytes:
        return json.loads(value)
    if type(value) is list:
        return [unwrap(item) for item in value]
    if type(value) is dict:
        return {key: unwrap(item) for key, item in value.items()}
    return value


def has_wrapped(value: Any, /) -> bool:
    """Whether `unwrap` would change anything in a list or a dict."""
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind is bytes or ((kind is list or kind is dict) and has_wrapped(item)):
            return True
    return False


def has_tags(value: Any, /) -> bool:
    """Whether Kombu would read some dict in it as a value of another type."""
    if type(value) is list:
        return any(map(has_tags, value))
    return type(value) is dict and (value.keys() == TAG_KEYS or any(map(has_tags, value.values())))


def _wrapped(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_wrapped(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == TAG_KEYS:
            return json.dumps(value).encode()
        return {key: _wrapped(item) for key, item in value.items()}
    return value


def register_serializer() -> None:
    """Make our encoder known to Kombu. Its decoder, and its name for the content type, stay Kombu's own."""
    if SERIALIZER not in registry.name_to_type:
        kept = registry.type_to_name["application/json"]
        registry.register(SERIALIZER, encode_body, None, content_type="application/json", content_encoding="utf-8")
        registry.type_to_name["application/json"] = kept


register_serializer()
