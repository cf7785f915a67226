"""What a key adds to a job in the worker: how often that waits for its store, and the time that this takes."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge_compare.bench.key_counts import counted, job, running, tasks
from taskbridge_compare.bench.row import Row, not_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.task import Task
    from taskbridge_compare.bench.key_counts import Counted
    from taskbridge_compare.bench.row import Verdict
    from taskbridge_compare.drivers import Broker
    from taskbridge_compare.servers import Servers

BROKERS: Final[tuple[Broker, ...]] = ("redis", "postgres")
"""The servers that these rows need."""
COUNT: Final = "What a key adds to a job, in round trips to its store"
TIME: Final = "What a key adds to a job, in the worker's time for it"
WITH_RESULT: Final = "a job with a result"
WITHOUT: Final = "a job without a result"
ASKED: Final = {WITH_RESULT: 0, WITHOUT: 1}
"""Round trips that were asked for."""

_COUNTS: Final = 3
_JOBS: Final = 5
_ROUNDS: Final = 60
_STORES: Final[tuple[Broker, ...]] = ("redis", "postgres", "sqlite")
_numbers: Final = itertools.count(1)


def rows(servers: Servers) -> Iterator[Row]:
    """Four for each kind of store; a server that is missing is a row that says so."""
    here = [store for store in _STORES if store not in servers.missing]
    for store in _STORES:
        if store in servers.missing:
            yield not_run(COUNT, store, servers.missing[store])
    for store in here:
        with counted(servers.fresh_url(store)) as worker:
            for kind, plain, keyed in _pairs():
                yield _counted(store, kind, least(worker, plain), least(worker, keyed))
    for store in here:
        with running(servers.fresh_url(store)) as (opened, run):

            def jobs(of: Task[..., object, object]) -> Callable[[], object]:
                return lambda: run(job(of, next(_numbers)), attempt=1)

            def write() -> object:
                return opened.count(f"bench:{next(_numbers)}", span=timedelta(minutes=1))

            for kind, plain, keyed in _pairs():
                yield _timed(store, kind, jobs(plain), jobs(keyed), write)


def _pairs() -> list[tuple[str, Task[..., object, object], Task[..., object, object]]]:
    """The same job without a key and with one, with a result and without."""
    declared = tasks()
    return [
        (WITH_RESULT, declared.with_result, declared.with_both),
        (WITHOUT, declared.plain, declared.with_key),
    ]


def least(worker: Counted, of: Task[..., object, object]) -> tuple[float, float]:
    """Commands and waits of one job. Of some counts the fewest, since a key is also renewed every 5 s."""
    commands, waits = zip(*(worker.one_more(of, _numbers) for _ in range(_COUNTS)), strict=True)
    return min(commands), min(waits)


def verdict(kind: str, added: float) -> Verdict:
    """Whether as few round trips were added as was asked for."""
    return "pass" if added <= ASKED[kind] else "FAIL"


def _counted(store: str, kind: str, plain: tuple[float, float], keyed: tuple[float, float]) -> Row:
    commands, waits = keyed[0] - plain[0], keyed[1] - plain[1]
    if store == "sqlite":
        return Row(
            section=COUNT,
            subject=f"{store}, {kind}",
            value="none",
            target="none set",
            verdict="pass",
            detail=f"a file has no server that is waited for; {commands:g} transactions more",
            number=commands,
        )
    return Row(
        section=COUNT,
        subject=f"{store}, {kind}",
        value=f"{waits:g}",
        target=f"<= {ASKED[kind]}",
        verdict=verdict(kind, waits),
        detail=f"answers waited for by jobs that follow at once on each other; {commands:g} commands more",
        number=waits,
    )


def _timed(
    store: str, kind: str, plain: Callable[[], object], keyed: Callable[[], object], write: Callable[[], object]
) -> Row:
    """In turns: without a key again, without one, with one, and as many plain writes; of each the fastest burst.

    A job without a result never asks the store, and nothing would be left of it to be compared with: what its key adds
    is told in writes.
    """
    bursts: list[list[float]] = [[], [], [], []]
    for _ in range(_ROUNDS):
        for taken, work in zip(bursts, (plain, plain, keyed, write), strict=True):
            taken.append(_microseconds(work))
    again, without, with_key, one_write = map(min, bursts)
    in_writes = (with_key - without) / one_write
    is_ratio = kind == WITH_RESULT
    number = with_key / without if is_ratio else in_writes
    return Row(
        section=TIME,
        subject=f"{store}, {kind}",
        value=f"x{number:.2f}" if is_ratio else f"+{number:.1f} writes",
        target="none set",
        verdict="pass",
        detail=(
            f"{with_key:.0f} us, without a key {without:.0f} us and again {again:.0f} us: fastest bursts, around a "
            f"body that does nothing; one write to the store {one_write:.0f} us, so that the key adds {in_writes:.1f}"
        ),
        number=number,
        samples=dict(zip(("without_again", "without", "with_key", "one_write"), bursts, strict=True)),
    )


def _microseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    for _ in range(_JOBS):
        work()
    return (time.perf_counter() - begin) / _JOBS * 1e6
