"""How each adapter's worker reads a message, from what lies on the broker to a `Message`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import InvalidTaskError
from dramatiq import DecodeError as DramatiqDecodeError
from dramatiq import Message as DramatiqMessage
from kombu.exceptions import ContentDisallowed
from kombu.exceptions import DecodeError as KombuDecodeError
from kombu.message import Message as KombuMessage
from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.serializers import JSONSerializer as RQSerializer

from taskbridge.errors import UndecodableMessage
from taskbridge_celery import wire as celery_wire
from taskbridge_celery.strategy import check, payload_of
from taskbridge_django_tasks import wire as django_wire
from taskbridge_dramatiq import wire as dramatiq_wire
from taskbridge_huey import wire as huey_wire
from taskbridge_huey.serializer import JSONSerializer as HueySerializer
from taskbridge_rq import wire as rq_wire
from taskbridge_rq.job import Job
from tests.wire import record_celery, record_django, record_dramatiq, record_huey, record_rq

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge.message import Message

HEADERS: Final = (
    '{"enqueued_at":"2026-03-01T12:30:15.250000Z","expires":"2026-03-01T14:00:00Z","timeout":2.5,'
    '"retry":{"attempts":3},"result":true,"metadata":{"tenant":"zürich"},"signature":"k1:abc"}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """One adapter's way, with messages that it reads."""

    originals: Sequence[bytes]
    read: Callable[[bytes], Message]
    handled: tuple[type[Exception], ...] = ()
    """What its worker catches besides `UndecodableMessage`, and parks or rejects."""


def _object(data: bytes) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise UndecodableMessage("no JSON object")
    return value


def _celery_originals() -> list[bytes]:
    """The element of the list, with the body in clear: in base64 no damage would reach it."""
    elements = [json.loads(record_celery.load(case)) for case in ("plain", "delayed")]
    for element in elements:
        element["body"] = base64.b64decode(element["body"]).decode()
        element["headers"]["taskbridge"] = HEADERS
    return [json.dumps(element).encode() for element in elements]


def _read_celery(data: bytes) -> Message:
    element = _object(data)
    headers = element["headers"]
    if not isinstance(headers, dict):
        raise UndecodableMessage("Celery itself rejects a message whose headers it cannot subscript")
    payload = payload_of(
        KombuMessage(
            element["body"],
            content_type=element["content-type"],
            content_encoding=element["content-encoding"],
            accept={"application/json"},
        )
    )
    check(headers, payload)
    if isinstance(payload, dict):
        raise UndecodableMessage("protocol 1")
    args, kwargs, _ = payload
    return celery_wire.from_native(headers, args, kwargs)


def _read_dramatiq(data: bytes) -> Message:
    return dramatiq_wire.from_native(DramatiqMessage.decode(data), max_priority=10)


def _read_huey(data: bytes) -> Message:
    return huey_wire.from_native(HueySerializer().deserialize(data), "default")


_OUR_HUEY: Final = {
    "id": record_huey.JOB_ID, "name": "shop.receipt", "retries": 0, "retry_delay": 0, "priority": 7,
    "kwargs": record_huey.KWARGS, "args": record_huey.ARGS, "eta": "2026-03-01T13:00:00.500000", "taskbridge": HEADERS,
}  # fmt: skip


def _rq_originals() -> list[bytes]:
    """The fields of the hash as one JSON object, with the call in clear: RQ compresses it."""
    fields = {
        "origin": "mail", "timeout": "-1", "created_at": "2026-03-01T12:30:15.250000Z", "enqueued_at": "",
        "result_ttl": "500", "retries_left": "2", "retry_intervals": "[1, 2]", "status": "queued", "worker_name": "",
        "success_callback_name": "os.system", "dependency_ids": "[]", "number_of_retries": "1",
        "data": json.dumps(["shop.receipt", None, record_rq.ARGS, record_rq.KWARGS]),
        "meta": json.dumps({"taskbridge": HEADERS}),
    }  # fmt: skip
    return [json.dumps(fields).encode()]


class _RQJob(Job):
    tasks = {}  # noqa: RUF012 - as `bind_job` sets it


def _read_rq(data: bytes) -> Message:
    job = _RQJob(record_rq.JOB_ID, connection=Redis(port=1), serializer=RQSerializer)
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in _object(data).items()}
    job.restore({name.encode("utf-8", "replace"): value.encode("utf-8", "replace") for name, value in fields.items()})
    return rq_wire.from_native(job)


def _read_django(data: bytes) -> Message:
    row = {
        **record_django.load("plain"),
        "args_kwargs": json.loads(data),
        "run_after": datetime(9999, 1, 1, tzinfo=UTC),
    }
    return django_wire.from_native(SimpleNamespace(**row, pk=record_django.JOB_ID))


_NO_JSON: Final = (ValueError, KeyError, RecursionError)
"""What the harness itself raises where the damage leaves no document to take the parts from."""

DECODERS: Final = {
    "celery": Decoder(
        originals=_celery_originals(),
        read=_read_celery,
        handled=(InvalidTaskError, ContentDisallowed, KombuDecodeError, *_NO_JSON),
    ),
    "dramatiq": Decoder(
        originals=[record_dramatiq.load(name) for name in ("redis-queued", "redis-delayed", "rabbitmq-queued")],
        read=_read_dramatiq,
        handled=(DramatiqDecodeError, KeyError, TypeError),
    ),
    "huey": Decoder(originals=[json.dumps(_OUR_HUEY, ensure_ascii=False).encode()], read=_read_huey),
    "rq": Decoder(originals=_rq_originals(), read=_read_rq, handled=(NoSuchJobError, *_NO_JSON)),
    "django": Decoder(
        originals=[json.dumps({"args": record_django.ARGS, "kwargs": record_django.KWARGS, "taskbridge": HEADERS,
                               django_wire.ARGUMENTS: '[[1e16],{"a":"b"}]'}).encode()],
        read=_read_django,
        handled=_NO_JSON,
    ),
}  # fmt: skip
