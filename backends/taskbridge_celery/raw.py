"""A message that is to be kept as it came: Kombu's own JSON form of it, on every broker."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import msgspec
from kombu.utils import json as kombu_json

if TYPE_CHECKING:
    from kombu.message import Message
    from kombu.messaging import Producer


CARRIED: Final = ("correlation_id", "message_id", "reply_to", "type", "app_id")
"""Not the expiry, which would end a kept message early."""


class _Form(msgspec.Struct):
    body: bytes
    """Base64 in the JSON, which msgspec reads."""
    content_encoding: Any = msgspec.field(name="content-encoding")
    content_type: Any = msgspec.field(name="content-type")
    headers: Any
    properties: dict[str, Any]


def raw(message: Message, /) -> bytes:
    """The message's body, byte for byte, and all that came with it.

    What Kombu's Redis transport would put on a list, so that `LPUSH` of it there gives the job back.
    """
    body = message.body
    octets = body if isinstance(body, bytes | bytearray) else str(body).encode("utf-8", "surrogatepass")
    # What the broker adds is left out, so that a message that is kept twice is known to be the same.
    properties: dict[str, Any] = {**carried(message.properties), "body_encoding": "base64"}
    properties["delivery_info"] = {"exchange": "", "routing_key": (message.delivery_info or {}).get("routing_key")}
    return _form(bytes(octets), message.content_encoding, message.content_type, message.headers, properties)


def publish_raw(producer: Producer, queue_name: str, payload: bytes, /) -> None:
    """Lay a message on a queue as it was when it was kept."""
    channel: Any = producer.channel
    try:
        form = msgspec.json.decode(payload, type=_Form)
    except msgspec.MsgspecError:
        # Not even Kombu's form: an element of a Redis list, which goes back as it was.
        with channel.conn_or_acquire() as client:
            client.lpush(queue_name, payload)
        return
    message = channel.prepare_message(
        form.body,
        content_type=form.content_type,
        content_encoding=form.content_encoding,
        headers=form.headers,
        properties={**carried(form.properties), "delivery_mode": 2},
    )
    channel.basic_publish(message, exchange="", routing_key=queue_name, mandatory=True)


def carried(properties: Any, /) -> dict[str, Any]:
    """The properties that say something of the job."""
    return {key: value for key in CARRIED if isinstance(value := (properties or {}).get(key), str)}


def raw_call(request: Any, args: Any, kwargs: Any, /) -> bytes:
    """The same of a message that Kombu has read."""
    body = kombu_json.dumps((args, kwargs, {})).encode()
    headers = {**(request.headers or {}), "id": request.id, "task": request.task, "retries": request.retries}
    delivery_info = {"exchange": "", "routing_key": (request.delivery_info or {}).get("routing_key")}
    properties = {"body_encoding": "base64", "delivery_info": delivery_info}
    return _form(body, "utf-8", "application/json", headers, properties)


def _form(body: bytes, encoding: Any, content_type: Any, headers: Any, properties: dict[str, Any]) -> bytes:
    form = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": encoding,
        "content-type": content_type,
        "headers": headers,
        "properties": properties,
    }
    return msgspec.json.encode(form, enc_hook=_text)


def _text(value: Any) -> str:
    # AMQP's tables hold types that JSON does not.
    return repr(value)
