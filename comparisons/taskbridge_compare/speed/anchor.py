"""The raw broker: what one write costs with no task library at all, in the same run on the same machine."""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import time
from typing import TYPE_CHECKING

from taskbridge_compare.speed.number import Number
from taskbridge_compare.speed.statistics import is_noisy

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge_compare.drivers import Broker, Driver

_BODY = b"x" * 300
OPERATIONS: dict[Broker, str] = {
    "redis": "LPUSH of 300 bytes",
    "amqp": "persistent publish of 300 bytes, confirmed",
    "sqlite": "INSERT of 300 bytes with its commit, WAL, synchronous FULL",
    "postgres": "INSERT of 300 bytes with its commit",
}


def measure(broker: Broker, url: str, count: int) -> list[float]:
    """Seconds of each of `count` raw writes to an empty part of the broker."""
    opened = {"redis": _redis, "amqp": _amqp, "sqlite": _sqlite, "postgres": _postgres}[broker]
    with contextlib.ExitStack() as stack:
        write = opened(url, stack)
        write()
        samples = []
        for _ in range(count):
            begin = time.perf_counter()
            write()
            samples.append(time.perf_counter() - begin)
        return samples


def number(driver: Driver, raw: list[float]) -> Number:
    """The raw write beside one row."""
    middle = statistics.median(raw) * 1e6
    return Number(
        backend=driver.backend,
        profile=driver.profile,
        case="anchor",
        title="raw broker write",
        value=middle,
        unit="us",
        text=f"{middle:.0f} µs",
        detail=f"median of {len(raw)}: {OPERATIONS[driver.broker]}",
        noisy=is_noisy(raw),
        samples=raw,
    )


def _redis(url: str, stack: contextlib.ExitStack) -> Callable[[], object]:
    import redis

    client = stack.enter_context(contextlib.closing(redis.Redis.from_url(url)))
    return lambda: client.lpush("anchor", _BODY)


def _amqp(url: str, stack: contextlib.ExitStack) -> Callable[[], object]:
    import pika

    connection = stack.enter_context(contextlib.closing(pika.BlockingConnection(pika.URLParameters(url))))
    channel = connection.channel()
    channel.queue_declare("anchor", durable=True)
    channel.confirm_delivery()
    properties = pika.BasicProperties(delivery_mode=2)
    return lambda: channel.basic_publish("", "anchor", _BODY, properties)


def _sqlite(url: str, stack: contextlib.ExitStack) -> Callable[[], object]:
    connection = stack.enter_context(contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))))
    connection.isolation_level = None
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("create table anchor (body blob)")
    return lambda: connection.execute("insert into anchor values (?)", (_BODY,))


def _postgres(url: str, stack: contextlib.ExitStack) -> Callable[[], object]:
    import psycopg

    connection = stack.enter_context(psycopg.connect(url, autocommit=True))
    connection.execute("create table anchor (body bytea)")
    return lambda: connection.execute("insert into anchor values (%s)", (_BODY,))
