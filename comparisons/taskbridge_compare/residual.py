"""Where does a job lie now? Every key, queue and table of the broker is searched for it."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import sqlite3
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

State = Literal["waiting", "held", "failed", "finished", "data"]
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")
# The first pattern that is found in a Redis key's name says what a member of it means.
_REDIS: tuple[tuple[str, State], ...] = (
    (r"^unacked_index|\.msgs$|^rq:job:|^rq:results:|^rq:executions?:|huey\.results|result", "data"),
    (r"^unacked$|__acks__|^rq:wip:|:intermediate|:processing", "held"),
    (r"^rq:failed:|\.XQ$|:dead-letter", "failed"),
    (r"^rq:finished:", "finished"),
)
_STATUS: dict[str, State] = {
    "READY": "waiting",
    "NEW": "waiting",
    "RUNNING": "held",
    "FAILED": "failed",
    "SUCCESSFUL": "finished",
    "SUCCEEDED": "finished",
}
_TABLES: dict[str, State] = {"kv": "data", "django_migrations": "data", "taskbridge_dead_letters": "failed"}
_DEAD_QUEUE = re.compile(r"\.XQ$|^taskbridge\.dead$")
_ALIAS_LENGTH = 16
# Of a server that was given by URL, and cannot be asked for the names of all its queues.
USUAL_QUEUES = ("celery", "default", "default.DQ", "default.XQ")


@dataclass(frozen=True, slots=True)
class Place:
    """One place that holds a trace of a job. `data` is its record or payload, which alone nobody will run."""

    name: str
    state: State

    def plain(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state}


def search(url: str, needles: Sequence[str], queues: Sequence[str] = USUAL_QUEUES) -> list[Place]:
    """Every place where the broker at `url` holds one of `needles` (a job's key, its native id).

    RabbitMQ is searched in `queues`; the other brokers name all that they hold.
    """
    wanted = [needle.encode() for needle in needles]
    scheme = url.partition(":")[0]
    if scheme in ("redis", "rediss"):
        return list(_redis(url, wanted))
    if scheme == "sqlite":
        return list(_sqlite(url.removeprefix("sqlite:///"), wanted))
    if scheme in ("postgres", "postgresql"):
        return list(_postgres(url, wanted))
    if scheme in ("amqp", "amqps"):
        return list(_amqp(url, wanted, queues))
    raise ValueError(f"no search for a broker of scheme {scheme!r}")


def holds(value: bytes, needles: Iterable[bytes]) -> bool:
    """True if one of `needles` is in `value`: as it is, compressed (RQ), or in base64 (Celery's body)."""
    readings = [value]
    with contextlib.suppress(zlib.error):
        readings.append(zlib.decompress(value))
    for match in _BASE64.findall(value):
        with contextlib.suppress(binascii.Error):
            readings.append(base64.b64decode(match))
    return any(needle in reading for needle in needles for reading in readings)


def _redis(url: str, needles: list[bytes]) -> Iterator[Place]:
    import redis

    with contextlib.closing(redis.Redis.from_url(url)) as client:
        names = sorted(client.scan_iter(count=1000))
        needles = [*needles, *_aliases(client, names, needles)]
        for name in names:
            if any(needle in name for needle in needles) or any(
                holds(value, needles) for value in _redis_values(client, name)
            ):
                shown = name.decode(errors="replace")
                state: State = next((state for pattern, state in _REDIS if re.search(pattern, shown)), "waiting")
                yield Place(f"Redis key {shown}", state)


def _aliases(client: Any, names: list[bytes], needles: list[bytes]) -> list[bytes]:
    """Fields of hashes whose values hold a needle: Dramatiq's queues and Celery's index know a message by them."""
    return [
        field
        for name in names
        if client.type(name) == b"hash" and not name.startswith(b"rq:")
        for field, value in client.hgetall(name).items()
        if len(field) >= _ALIAS_LENGTH and holds(value, needles)
    ]


def _redis_values(client: Any, name: bytes) -> list[bytes]:
    kind = client.type(name)
    if kind == b"string":
        return [client.get(name) or b""]
    if kind == b"list":
        return list(client.lrange(name, 0, -1))
    if kind == b"set":
        return list(client.smembers(name))
    if kind == b"zset":
        return list(client.zrange(name, 0, -1))
    if kind == b"hash":
        return [part for pair in client.hgetall(name).items() for part in pair]
    return []


def _sqlite(path: str, needles: list[bytes]) -> Iterator[Place]:
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        tables = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            cursor = connection.execute(f'select * from "{table}"')  # noqa: S608 - names from the database itself
            yield from _rows(table, [column[0] for column in cursor.description], cursor, needles)


def _postgres(url: str, needles: list[bytes]) -> Iterator[Place]:
    import psycopg
    from psycopg import sql

    with psycopg.connect(url) as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        for (table,) in found:
            cursor = connection.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
            columns = [column.name for column in cursor.description or ()]
            yield from _rows(table, columns, cursor, needles)


def _rows(table: str, columns: list[str], rows: Iterable[Sequence[Any]], needles: list[bytes]) -> Iterator[Place]:
    for row in rows:
        if not any(holds(_bytes(value), needles) for value in row):
            continue
        status = str(row[columns.index("status")]) if "status" in columns else ""
        state = _STATUS.get(status, _TABLES.get(table, "waiting"))
        yield Place(f"table {table}" + (f", status {status}" if status else ""), state)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return str(value).encode()


def _amqp(url: str, needles: list[bytes], queues: Sequence[str]) -> Iterator[Place]:
    import pika
    from pika.exceptions import ChannelClosedByBroker

    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        for queue in queues:
            channel = connection.channel()
            try:
                found = False
                while True:
                    method, properties, body = channel.basic_get(queue)
                    if method is None or body is None:
                        break
                    found = found or holds(body, needles) or holds(repr(properties).encode(), needles)
                if found:
                    yield Place(f"RabbitMQ queue {queue}", "failed" if _DEAD_QUEUE.search(queue) else "waiting")
            except ChannelClosedByBroker:  # no such queue
                continue
            channel.close()  # what was not acknowledged goes back to its place
    finally:
        connection.close()
