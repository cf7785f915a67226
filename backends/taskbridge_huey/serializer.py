"""How a Huey message becomes bytes: JSON, or on request the pickle that stock Huey speaks."""

from __future__ import annotations

import json
import pickle
from datetime import datetime
from io import BytesIO
from operator import attrgetter
from typing import Any

import msgspec
from huey.registry import Message as HueyMessage
from huey.serializer import Serializer

from taskbridge.errors import UndecodableMessage
from taskbridge.message import HEADER
from taskbridge_huey.wire import Arguments

_PLAIN_FIELDS = ("id", "name", "retries", "retry_delay", "priority", "kwargs", "retry_backoff")
_MARK = f"\n{HEADER}:"

_plain_fields = attrgetter(*_PLAIN_FIELDS)
_encode = msgspec.json.Encoder().encode


class JSONSerializer(Serializer):
    """One JSON object a message, under Huey's own field names, with our headers as one member more."""

    def _serialize(self, data: Any) -> bytes:
        if not isinstance(data, HueyMessage):
            return json.dumps({"value": data}).encode()
        fields = {
            name: value for name, value in zip(_PLAIN_FIELDS, _plain_fields(data), strict=True) if value is not None
        }
        fields["args"] = list(data.args or ())
        if data.eta is not None:
            fields["eta"] = data.eta.isoformat()
        headers = getattr(data.args, "headers", None)
        if headers is not None:
            fields[HEADER] = headers
        return _encode(fields)

    def _deserialize(self, data: bytes) -> Any:
        try:
            fields = json.loads(data)
            if "value" in fields:
                return fields["value"]
            if type(fields["args"]) is not list or type(fields.get("kwargs", {})) is not dict:
                raise TypeError("a call has a list of arguments and an object of keywords")  # noqa: TRY301 - joins the others
            headers = fields.pop(HEADER, None)
            eta = fields.pop("eta", None)
            return HueyMessage(
                args=Arguments(fields.pop("args"), headers),
                eta=datetime.fromisoformat(eta) if eta is not None else None,
                **{name: fields[name] for name in _PLAIN_FIELDS if name in fields},
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UndecodableMessage(f"This is no Huey message in JSON: {bytes(data)[:80]!r}") from error


class PickleSerializer(Serializer):
    """Stock Huey's own format. Our headers stand after the pickle's end, where a stock worker does not look.

    Whoever can write to the broker can run code in the worker: it is used only where the URL says so.
    """

    def _serialize(self, data: Any) -> bytes:
        headers = getattr(data.args, "headers", None) if isinstance(data, HueyMessage) else None
        if isinstance(data, HueyMessage):
            data = data._replace(args=tuple(data.args or ()))
        pickled: bytes = super()._serialize(data)
        return pickled if headers is None else pickled + f"{_MARK}{headers}".encode()

    def _deserialize(self, data: bytes) -> Any:
        stream = BytesIO(data)
        try:
            message = pickle.load(stream)  # noqa: S301 - asked for by name in the URL, to talk with a legacy system
            trailer = stream.read().decode()
        except Exception as error:
            raise UndecodableMessage(f"This is no pickled Huey message: {bytes(data)[:80]!r}") from error
        if not isinstance(message, HueyMessage):
            return message
        headers = trailer.removeprefix(_MARK) if trailer.startswith(_MARK) else None
        return message._replace(args=Arguments(message.args or (), headers))
