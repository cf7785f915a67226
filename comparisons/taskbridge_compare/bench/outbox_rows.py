"""What an outbox costs whoever writes into it, and how fast its relay empties it."""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskbridge import configure
from taskbridge.decorator import task
from taskbridge.outbox import Relay, open_outbox
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge_compare.bench.busy import cheapest, timed, verdict
from taskbridge_compare.bench.row import Row, not_run
from taskbridge_compare.speed.statistics import paired_ratio, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.outbox import OutboxTable
    from taskbridge.task import Task
    from taskbridge_compare.drivers import Broker
    from taskbridge_compare.servers import Servers

BROKERS: Final[tuple[Broker, ...]] = ("postgres", "redis")
"""The servers that these rows need."""
WRITE: Final = "One job into the outbox against an INSERT of the same row"
RELAY: Final = "From the outbox to Redis"
WRITE_TARGET: Final = 1.3
"""Times as slow, commit included."""
RELAY_TARGET: Final = 5_000
"""Jobs a second."""

_ROUNDS: Final = 25
_CHUNK: Final = 20
_JOBS: Final = 5_000
_RELAY_ROUNDS: Final = 3
_COLUMNS: Final = "id, backend, task, queue_name, ordering_key, message, record, written_at"
_DATABASES: Final[tuple[Broker, ...]] = ("sqlite", "postgres")
_ENGINES: Final = ("huey", "dramatiq", "rq", "celery")


def rows(servers: Servers) -> Iterator[Row]:
    """One for each database and each engine; a server that is missing is a row that says so."""
    told = _task()
    try:
        for database in _DATABASES:
            if database in servers.missing:
                yield not_run(WRITE, database, servers.missing[database])
            else:
                yield from _written(told, servers.fresh_url(database))
        for engine in _ENGINES:
            if "redis" in servers.missing:
                yield not_run(RELAY, engine, servers.missing["redis"])
            else:
                yield _relayed(told, engine, servers.fresh_url("sqlite"), servers.fresh_url("redis"))
    finally:
        router.configure(None)


def _task() -> Task[..., Any, Any]:
    """Declared here and not at import: this module is imported beside others that look at the registry."""
    found = registry.get(f"{__name__}.told")
    return found if found is not None else task(told)


def told(order: int, address: str) -> None:
    """What is enqueued."""


def _connect(url: str) -> Any:
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"))
    import psycopg

    return psycopg.connect(url)


def _written(told: Task[..., Any, Any], url: str) -> Iterator[Row]:
    configure("memory://?timing=outbox", outbox=[url])
    with contextlib.closing(open_outbox(url)) as table, contextlib.closing(_connect(url)) as connection:
        table.create()
        told.using(connection=connection).enqueue(42, "ann@example.org")
        connection.commit()
        mark = "?" if url.startswith("sqlite") else "%s"
        statement = f"INSERT INTO taskbridge_outbox ({_COLUMNS}) VALUES ({', '.join([mark] * 8)})"  # noqa: S608 - constants only
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(f"SELECT {_COLUMNS} FROM taskbridge_outbox")  # noqa: S608 - a constant
            same = cursor.fetchone()

        def plain() -> None:
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(statement, same)

        def ours() -> None:
            told.using(connection=connection).enqueue(42, "ann@example.org")

        name = url.partition(":")[0]
        yield _compared(f"{name}, with its commit", plain, ours, connection, target=WRITE_TARGET)
        yield _compared(f"{name}, the statement alone", plain, ours, connection, target=None)


def _compared(
    subject: str, plain: Callable[[], None], ours: Callable[[], None], connection: Any, *, target: float | None
) -> Row:
    commit = connection.commit if target is not None else _nothing
    again, theirs, mine = [], [], []
    for _ in range(_ROUNDS):
        again.append(_microseconds(plain, commit))
        theirs.append(_microseconds(plain, commit))
        mine.append(_microseconds(ours, commit))
        connection.commit()
    ratio = paired_ratio(mine, theirs)
    same = [a / b for a, b in zip(again, theirs, strict=True)]
    allowed = max(percentile(same, 90), target or 0)
    return Row(
        section=WRITE,
        subject=subject,
        value=f"x{ratio:.2f}",
        target=f"<= x{allowed:.2f}" if target else "none set",
        verdict="pass" if target is None or ratio <= allowed else "FAIL",
        durability="one transaction a job" if target else "",
        detail=(
            f"{statistics.median(mine):.0f} us, plain {statistics.median(theirs):.0f} us;"
            f" A/A x{percentile(same, 10):.2f} to x{percentile(same, 90):.2f}"
        ),
        number=ratio,
        samples={"plain_again": again, "plain": theirs, "taskbridge": mine},
    )


def _microseconds(work: Callable[[], None], commit: Callable[[], object]) -> float:
    begin = time.perf_counter()
    for _ in range(_CHUNK):
        work()
        commit()
    return (time.perf_counter() - begin) / _CHUNK * 1e6


def _nothing() -> None:
    """No commit."""


def _relayed(told: Task[..., Any, Any], engine: str, url: str, broker: str) -> Row:
    configure(f"{engine}+{broker}?timing=outbox", outbox=[url])
    calls = [(number, "ann@example.org") for number in range(_JOBS)]
    relayed, direct = [], []
    with contextlib.closing(open_outbox(url)) as table, contextlib.closing(_connect(url)) as connection:
        table.create()
        for _ in range(_RELAY_ROUNDS):
            told.using(connection=connection).enqueue_many(calls)
            connection.commit()
            relayed.append(timed(_JOBS, broker, partial(_empty, table)))
            direct.append(timed(_JOBS, broker, partial(told.using(timing="now").enqueue_many, calls)))
    rates, others = [each.rate for each in relayed], [each.rate for each in direct]
    return Row(
        section=RELAY,
        subject=f"{engine}+redis, from SQLite",
        value=f"{max(rates):,.0f} a second",
        target=f">= {RELAY_TARGET:,}",
        verdict=verdict(relayed, RELAY_TARGET),
        detail=(
            f"{cheapest(relayed).told()}; x{paired_ratio(rates, others):.2f} of enqueue_many of the same jobs, "
            f"{max(others):,.0f} a second"
        ),
        number=max(rates),
        samples={"relay": list(map(asdict, relayed)), "enqueue_many": list(map(asdict, direct))},
    )


def _empty(table: OutboxTable) -> None:
    relay = Relay(table)
    while table.waiting(1):
        relay.beat()
    relay.close()
