"""What an enqueue says to the broker, command by command: the one measure of speed that has no noise."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge_compare.bench import statements, wire
from taskbridge_compare.bench.meter import Meter
from taskbridge_compare.station import Station

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from taskbridge_compare.drivers import Driver
    from taskbridge_compare.workload import Workload

BULK_ROUND_TRIPS = 4
"""One on Redis; opening a transaction and closing it is more on RabbitMQ and PostgreSQL."""

_READERS: dict[str, Callable[[Iterable[bytes]], Counter[str]]] = {
    "redis": wire.redis_commands,
    "amqp": wire.amqp_frames,
    "postgres": wire.postgres_statements,
}


@dataclass(frozen=True, slots=True)
class Count:
    """What was said for a number of jobs."""

    commands: Counter[str]
    round_trips: int
    """On SQLite, which has none: transactions, since each waits for the disk."""

    @property
    def total(self) -> int:
        return self.commands.total()

    def __str__(self) -> str:
        said = ", ".join(f"{name} {number}" for name, number in self.commands.most_common())
        return f"{said}; {self.round_trips} round trips"


class Counting:
    """One application whose enqueues are counted; `close` ends it."""

    def __init__(self, driver: Driver, workload: Workload, *, folder: Path, url: str) -> None:
        self._task = workload.of_role("short")
        self._meter = None if driver.broker == "sqlite" else Meter(url)
        self._station = Station(driver, workload, folder=folder, url=self._meter.url if self._meter else url)
        self._log = _trace(folder / "producer") if self._meter is None else None
        self._reader = _READERS.get(driver.broker)
        for bulk in (False, True):
            self._enqueue(3, bulk=bulk)

    def __call__(self, jobs: int, *, bulk: bool = False) -> Count:
        """Enqueue some jobs one by one, or at once; what was said for them."""
        if self._meter is not None and self._reader is not None:
            self._meter.reset()
            self._enqueue(jobs, bulk=bulk)
            round_trips, sent = self._meter.read()
            return Count(self._reader(sent), round_trips)
        assert self._log is not None
        begin = len(self._log.read_text())
        self._enqueue(jobs, bulk=bulk)
        return Count(*wire.sqlite_statements(self._log.read_text()[begin:].splitlines()))

    def _enqueue(self, jobs: int, *, bulk: bool) -> None:
        job = {"key": "count", "arguments": dict(self._task.arguments)}
        request = {"verb": "measure", "task": self._task.name, "job": job, "count": jobs, "rounds": 1, "bulk": bulk}
        self._station.ask(request, seconds=120)

    def close(self) -> None:
        """End the application and its way to the broker."""
        self._station.close()
        if self._meter is not None:
            self._meter.close()


def _trace(application: Path) -> Path:
    """Let the application write down its statements; where."""
    shutil.copyfile(statements.__file__, application / "statements.py")
    module = application / "app.py"
    module.write_text(f"import statements\n\nstatements.install()\n\n{module.read_text()}")
    return application / statements.LOG.name


def compare(native: Counting, bridged: Counting, *, jobs: int = 5, many: int = 50) -> list[str]:
    """What TaskBridge says to the broker more than it may, in words; empty if nothing.

    A plain job takes no command more than the native call's, and waits no more often, but once where the native call
    waits for nothing (RabbitMQ, unconfirmed). Many jobs at once wait a few times, however many they are.
    """
    theirs, ours, at_once = native(jobs), bridged(jobs), bridged(many, bulk=True)
    faults = []
    if ours.total > theirs.total:
        faults.append(f"{jobs} jobs took more commands than natively: {ours}; natively: {theirs}")
    if ours.round_trips > max(theirs.round_trips, jobs):
        faults.append(f"{jobs} jobs waited more often than natively: {ours}; natively: {theirs}")
    if at_once.round_trips > BULK_ROUND_TRIPS:
        faults.append(f"{many} jobs at once waited more than {BULK_ROUND_TRIPS} times: {at_once}")
    return faults
