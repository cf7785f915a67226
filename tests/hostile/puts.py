"""Put bytes where an engine's worker will find them, as whoever can write to the broker could."""

from __future__ import annotations

import base64
import contextlib
import json
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

QUEUE = "default"
Put: TypeAlias = Callable[[bytes], None]


def document(data: bytes) -> dict[str, Any] | None:
    """The JSON object, if it is one still."""
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(data)
        return value if isinstance(value, dict) else None
    return None


def celery_redis(url: str) -> Put:
    from redis import Redis

    client = Redis.from_url(url)

    def put(data: bytes) -> None:
        element = document(data)
        if element is None:
            client.lpush(QUEUE, data)
            return
        if isinstance(element.get("body"), str):
            element["body"] = base64.b64encode(element["body"].encode("utf-8", "surrogatepass")).decode()
        client.lpush(QUEUE, json.dumps(element))

    return put


def amqp(url: str) -> Put:
    """A document that has a body and headers is published as such; any other, and every fifth, as the body itself."""
    import pika

    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()

    def put(data: bytes) -> None:
        element = document(data) or {}
        headers, body, properties = element.get("headers"), element.get("body"), pika.BasicProperties(delivery_mode=2)
        if isinstance(headers, dict) and isinstance(body, str):
            with contextlib.suppress(Exception):  # what AMQP's own encoding of headers cannot carry, nobody can send
                properties = pika.BasicProperties(
                    delivery_mode=2,
                    headers=headers,
                    content_type=element.get("content-type"),
                    content_encoding=element.get("content-encoding"),
                )
                channel.basic_publish("", QUEUE, body.encode("utf-8", "surrogatepass"), properties)
                return
        channel.basic_publish("", QUEUE, data, pika.BasicProperties(delivery_mode=2))

    return put


def dramatiq_redis(url: str) -> Put:
    from redis import Redis

    client = Redis.from_url(url)

    def put(data: bytes) -> None:
        redis_id = str(uuid.uuid4())
        with client.pipeline() as pipe:
            pipe.hset(
                f"dramatiq:{QUEUE}.msgs",
                redis_id,
                data.replace(b"0199c0de-0000-7000-8000-000000000002", redis_id.encode()),
            )
            pipe.rpush(f"dramatiq:{QUEUE}", redis_id)
            pipe.execute()

    return put


def rq(url: str) -> Put:
    from redis import Redis

    client: Any = Redis.from_url(url)

    def put(data: bytes) -> None:
        fields = document(data) or {"data": data.decode("latin-1"), "origin": QUEUE, "created_at": ""}
        job_id = str(uuid.uuid4())
        values = {
            str(name).encode("utf-8", "replace"): (value if isinstance(value, str) else json.dumps(value)).encode(
                "utf-8", "replace"
            )
            for name, value in fields.items()
        }
        with client.pipeline() as pipe:
            pipe.hset(f"rq:job:{job_id}", mapping=values or {b"origin": b""})
            pipe.sadd("rq:queues", f"rq:queue:{QUEUE}")
            pipe.rpush(f"rq:queue:{QUEUE}", job_id)
            pipe.execute()

    return put


def huey(_url: str) -> Put:
    from taskbridge.router import router
    from taskbridge_huey import HueyBackend

    backend = router.backend()
    assert isinstance(backend, HueyBackend)
    storage = backend.instance(QUEUE).storage
    return lambda data: storage.enqueue(data, 0)


def django(_url: str) -> Put:
    """Only what the database's own JSON column takes; the check of the others is the database's."""
    from django.db import DatabaseError, connection
    from django_tasks_db.models import DBTaskResult

    table = DBTaskResult._meta.db_table
    columns = (
        "id, status, args_kwargs, priority, task_path, queue_name, backend_name, run_after, enqueued_at, "
        "exception_class_path, traceback, worker_ids"
    )

    def put(data: bytes) -> None:
        job_id = uuid.uuid4()
        row = (
            job_id.hex if connection.vendor == "sqlite" else str(job_id), "READY", data.decode("utf-8", "replace"), 0,
            "tests.hostile.application.note", QUEUE, "default", "9999-01-01 00:00:00+00", "2026-01-01 00:00:00+00",
            "", "", "[]",
        )  # fmt: skip
        marks = ", ".join(["%s"] * len(row))
        with contextlib.suppress(DatabaseError, ValueError), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row)

    return put


PUTS: dict[str, tuple[str, Callable[[str], Put]]] = {
    "celery+redis": ("celery", celery_redis),
    "celery+amqp": ("celery", amqp),
    "dramatiq+redis": ("dramatiq", dramatiq_redis),
    "dramatiq+amqp": ("dramatiq", amqp),
    "rq+redis": ("rq", rq),
    "django+rq": ("rq", rq),
    "huey+redis": ("huey", huey),
    "huey+sqlite": ("huey", huey),
    "django+db": ("django", django),
    "django+db+postgres": ("django", django),
}
"""By the name of the backend: whose messages are damaged, and how they get to its broker."""


def broker_url(url: str) -> str:
    """The broker's own, of a backend's URL."""
    parts = urlsplit(url)
    return parts._replace(scheme=parts.scheme.partition("+")[2], query="").geturl()
