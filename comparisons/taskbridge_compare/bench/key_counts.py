"""What a worker asks of its store while it runs jobs, with a key and without, and how often it waits for an answer:
commands and round trips on the wire to a real server, transactions of a SQLite file, for which nobody waits."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from taskbridge import configure
from taskbridge.decorator import task
from taskbridge.identity import new_id
from taskbridge.message import Headers, Message
from taskbridge.registry import registry
from taskbridge.retry import Retry
from taskbridge.router import router
from taskbridge.store import open_store
from taskbridge.store.database import OwnDatabase
from taskbridge.worker import Environment, Runner
from taskbridge_compare.bench import wire
from taskbridge_compare.bench.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.store import Store
    from taskbridge.task import Task

    Counting = Callable[[], contextlib.AbstractContextManager["Count"]]

_MORE = 4


@dataclass(slots=True)
class Count:
    """What was said to a store, and how often somebody could go no further without its answer."""

    commands: int = 0
    waits: int = 0


class Tasks(NamedTuple):
    """One function with and without a key, with and without a result."""

    plain: Task[..., Any, Any]
    with_key: Task[..., Any, Any]
    with_result: Task[..., Any, Any]
    with_both: Task[..., Any, Any]


def tasks() -> Tasks:
    """Declared here and not at import: this module is imported beside others that look at the registry."""
    key: dict[str, Any] = {"delivery": "effectively_once", "key": "{number}"}
    return Tasks(
        plain=_declared(plain),
        with_key=_declared(with_key, **key),
        with_result=_declared(with_result, result=True),
        with_both=_declared(with_both, result=True, **key),
    )


def _declared(function: Callable[[int], int], **options: Any) -> Task[..., Any, Any]:
    found = registry.get(f"{__name__}.{function.__name__}")
    retry = Retry(3, delay=timedelta(0), on=(ConnectionError,))
    return found if found is not None else task(retry=retry, **options)(function)


def plain(number: int) -> int:
    """What each of them does: nothing, or fail."""
    if number < 0:
        raise ConnectionError
    return number


def with_key(number: int) -> int:
    return plain(number)


def with_result(number: int) -> int:
    return plain(number)


def with_both(number: int) -> int:
    return plain(number)


def job(of: Task[..., Any, Any], number: int, /) -> Message:
    """One for the runner."""
    key = str(number) if of.options.key else ""
    return Message(new_id(), of.name, [number], {}, headers=Headers(key=key, enqueued_at=datetime.now(UTC)))


@contextlib.contextmanager
def running(url: str) -> Iterator[tuple[Store, Runner]]:
    """A worker's runner, and its store at this URL: Redis, PostgreSQL or SQLite."""
    declared = tasks()
    before = router.configured
    configure("memory://")
    store = open_store(url)
    run = Runner(router.backend(), Environment(alias="default", registry=registry, open_store=lambda: store))
    try:
        for each in declared:  # tables are made, connections opened, and a server is given its scripts
            run(job(each, time.time_ns()), attempt=1)
        yield store, run
    finally:
        store.close()
        router.configure(before)


@dataclass(frozen=True, slots=True)
class Counted:
    """A worker that counts how often it asks its store while it runs a job."""

    store: Store
    run: Runner
    counting: Counting

    def __call__(self, message: Message, *, attempt: int = 1) -> tuple[object, int]:
        """What became of the job, and the count of commands."""
        with self.counting() as count:
            outcome = self.run(message, attempt=attempt)
        return outcome, count.commands

    def one_more(self, of: Task[..., Any, Any], numbers: Iterator[int], /) -> tuple[float, float]:
        """Commands and waits that one job adds to others of its kind, each begun as soon as the one before has ended.

        So an answer counts that is awaited after its job, if it holds up the next. Of the last job's nobody can tell.
        """
        few, many = (self._in_a_row(of, list(itertools.islice(numbers, count))) for count in (1, 1 + _MORE))
        return (many.commands - few.commands) / _MORE, (many.waits - few.waits) / _MORE

    def _in_a_row(self, of: Task[..., Any, Any], numbers: list[int]) -> Count:
        jobs = [job(of, number) for number in numbers]
        with self.counting() as count:
            for message in jobs:
                self.run(message, attempt=1)
        return count


@contextlib.contextmanager
def counted(url: str) -> Iterator[Counted]:
    """A worker on the store of this URL."""
    if url.startswith("sqlite"):
        with running(url) as (store, run):
            yield Counted(store, run, _transactions)
    else:
        with Meter(url) as meter, running(meter.url) as (store, run):
            yield Counted(store, run, _commands(meter))


def _commands(meter: Meter) -> Counting:
    names = wire.redis_commands if meter.url.startswith("redis") else wire.postgres_statements

    @contextlib.contextmanager
    def counting() -> Iterator[Count]:
        count = Count()
        meter.reset()
        yield count
        count.waits, sent = meter.read()
        count.commands = names(sent).total()

    return counting


@contextlib.contextmanager
def _transactions() -> Iterator[Count]:
    count = Count()
    run = OwnDatabase.run

    def counting(self: OwnDatabase, work: Any, /) -> Any:
        count.commands += 1
        return run(self, work)

    with mock.patch.object(OwnDatabase, "run", counting):
        yield count
