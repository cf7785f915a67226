"""`make bench`: all promises of speed in one table; the exit code is 1 if one is broken."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from taskbridge_compare.bench import (
    drain_rows,
    enqueue_rows,
    key_rows,
    layer_rows,
    outbox_rows,
    release_rows,
    wake_rows,
)
from taskbridge_compare.bench.confirmed import of_equal_durability
from taskbridge_compare.bench.counts import Counting, compare
from taskbridge_compare.bench.late import late
from taskbridge_compare.bench.row import Row, not_run, table
from taskbridge_compare.drivers import RowsError, choose
from taskbridge_compare.ledger import NotSeen
from taskbridge_compare.place import StationError
from taskbridge_compare.results import machine
from taskbridge_compare.servers import Servers
from taskbridge_compare.station import Refused, Station
from taskbridge_compare.workload import SHIPPED, load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from taskbridge_compare.drivers import Driver

COUNTS = "Commands to the broker, counted"
SCHEMA = 1
_WORKLOAD = load(SHIPPED)
_COUNT_ATTEMPTS = 3
_OF_THE_STORE = {"outbox": outbox_rows, "release": release_rows, "key": key_rows}
_FAILURES = (StationError, Refused, NotSeen, OSError)

Pair = tuple["Driver", "Driver"]
Part = Literal["layer", "outbox", "release", "key", "counts", "enqueue", "drain", "wake"]
PARTS: tuple[Part, ...] = get_args(Part)


class Bench:
    """Measures the pairs of native and TaskBridge drivers on real servers in private folders."""

    def __init__(self, pairs: Sequence[Pair], servers: Servers, folder: Path, parts: Collection[Part] = PARTS) -> None:
        self._pairs = pairs
        self._parts = parts
        self._servers = servers
        self._folder = folder

    def rows(self) -> Iterator[Row]:
        """Every row; what could not be measured is a row that says why."""
        if "layer" in self._parts:
            yield from layer_rows.rows()
        wanted = [native.broker for native, _ in self._pairs]
        of_the_store = [rows for name, rows in _OF_THE_STORE.items() if name in self._parts]
        self._servers.start([*wanted, *(broker for part in of_the_store for broker in part.BROKERS)])
        for part in of_the_store:
            yield from part.rows(self._servers)
        here = [pair for pair in self._pairs if pair[0].broker not in self._servers.missing]
        for native, _ in self._pairs:
            if native.broker in self._servers.missing:
                yield not_run("Without a server", native.backend, self._servers.missing[native.broker])
        if "counts" in self._parts:
            with ThreadPoolExecutor(2) as pool:  # counts have no noise, so that two may run side by side
                yield from pool.map(self._counted, here)
        if "enqueue" in self._parts:
            enqueued = [row for pair in here for row in self._enqueued(pair)]
            yield from sorted(enqueued, key=lambda row: row.section != enqueue_rows.ONE)
        if "drain" in self._parts:
            for pair in here:
                yield self._drained(pair)
        if "wake" in self._parts:
            yield from self._woken(here)

    def _station(self, driver: Driver, purpose: str, *, slots: int | None = 1) -> Station:
        folder = self._folder / f"{driver.backend}-{driver.profile}-{purpose}"
        return Station(driver, _WORKLOAD, folder=folder, url=self._servers.fresh_url(driver.broker), slots=slots)

    def _counted(self, pair: Pair) -> Row:
        bridged = pair[1]
        with contextlib.ExitStack() as stack:
            try:
                one, other = (
                    stack.enter_context(
                        contextlib.closing(
                            Counting(
                                driver,
                                _WORKLOAD,
                                folder=self._folder / f"{driver.backend}-{driver.profile}-counts",
                                url=self._servers.fresh_url(driver.broker),
                            )
                        )
                    )
                    for driver in pair
                )
                faults = compare(one, other)
                for _ in range(_COUNT_ATTEMPTS - 1):
                    faults = faults and compare(one, other)
                told = "; ".join(faults) or (
                    f"5 jobs: {other(5)}, natively {one(5)}; 1,000 at once: {other(1000, bulk=True)}"
                )
            except _FAILURES as error:
                return _failed(COUNTS, bridged, error)
        return Row(
            section=COUNTS,
            subject=bridged.backend,
            value="more" if faults else "no more",
            target="than native",
            verdict="FAIL" if faults else "pass",
            durability=bridged.durability,
            detail=told,
        )

    def _enqueued(self, pair: Pair) -> list[Row]:
        native, bridged = of_equal_durability(*pair), pair[1]
        with contextlib.ExitStack() as stack:
            try:
                stations = [
                    stack.enter_context(contextlib.closing(self._station(driver, "enqueue")))
                    for driver in (native, bridged)
                ]
                return list(enqueue_rows.rows(*stations))
            except _FAILURES as error:
                return [_failed(section, bridged, error) for section in (enqueue_rows.ONE, enqueue_rows.MANY)]

    def _drained(self, pair: Pair) -> Row:
        with contextlib.ExitStack() as stack:
            try:
                native, bridged = (
                    stack.enter_context(contextlib.closing(self._station(driver, "drain", slots=None)))
                    for driver in (late(*pair), pair[1])
                )
                with ThreadPoolExecutor(2) as pool:
                    list(pool.map(Station.ready, (native, bridged)))
                return drain_rows.row(native, bridged)
            except _FAILURES as error:
                return _failed(drain_rows.SECTION, pair[1], error)

    def _woken(self, pairs: Sequence[Pair]) -> Iterator[Row]:
        with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as pool:

            def ready(pair: Pair) -> tuple[Station, Station] | Exception:
                try:
                    native, bridged = (
                        stack.enter_context(contextlib.closing(self._station(driver, "wake")))
                        for driver in (late(*pair), pair[1])
                    )
                    native.ready()
                    bridged.ready()
                except _FAILURES as error:
                    return error
                return native, bridged

            made = list(pool.map(ready, pairs))
            for (_, bridged), stations in zip(pairs, made, strict=True):
                if isinstance(stations, Exception):
                    yield _failed(wake_rows.SECTION, bridged, stations)
            if found := [stations for stations in made if not isinstance(stations, Exception)]:
                yield from wake_rows.rows(found)


def _failed(section: str, driver: Driver, error: Exception) -> Row:
    return Row(
        section=section,
        subject=driver.backend,
        value="",
        target="",
        verdict="FAIL",
        detail=f"{type(error).__name__}: {' '.join(str(error).split())[-400:]}",
    )


def pairs(names: Sequence[str]) -> list[Pair]:
    """Native and TaskBridge of each backend that has both. Raises RowsError for an unknown name."""
    chosen = choose(names)
    natives = {driver.backend: driver for driver in chosen if driver.profile == "native"}
    return [(natives[driver.backend], driver) for driver in chosen if driver.profile == "taskbridge"]


def main(argv: Sequence[str] | None = None, *, write: Callable[[str], object] = sys.stdout.write) -> int:
    """Measure, print the table, and answer with the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--backends", default="", help="celery, rq+redis, ...; all if none is named")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every row with its raw samples")
    arguments = parser.parse_args(argv)
    try:
        chosen = pairs([name for name in arguments.backends.split(",") if name])
    except RowsError as error:
        parser.error(str(error))
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taskbridge-bench-") as folder:
        servers = Servers(Path(folder))
        try:
            rows = list(_told(Bench(chosen, servers, Path(folder), arguments.only).rows()))
            described = servers.described()
        finally:
            servers.stop()
    broken = sum(row.verdict == "FAIL" for row in rows)
    write(f"{table(rows)}\n\n{broken} of {len(rows)} broken; {time.monotonic() - begin:.0f} s\n")
    if arguments.json is not None:
        result = {"schema": SCHEMA, "machine": machine(), "servers": described, "rows": [row.plain() for row in rows]}
        arguments.json.write_text(json.dumps(result, indent=1))
    return 1 if broken else 0


def _told(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        sys.stderr.write(f"{row.verdict}: {row.section}: {row.subject} {row.value}\n")
        yield row


if __name__ == "__main__":
    sys.exit(main())
