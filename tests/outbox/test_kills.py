"""SIGKILL at every step between the caller's commit and the effect: nothing is lost, and no effect happens twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import taskbridge
from taskbridge.outbox import Relay, open_outbox
from taskbridge.process import Command, Process
from taskbridge.result import DetailStatus
from taskbridge.router import router
from tests.outbox import shop
from tests.outbox.connections import plain
from tests.outbox.killed import PLANTED, STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.outbox import OutboxTable
    from taskbridge.result import TaskResult
    from taskbridge.services import Server

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=60)
JOBS = 6
"""Of each relay."""
COPIES = {"half sent": JOBS // 2, "sent": JOBS}
"""How many jobs of a relay that was killed there are sent a second time."""

pytestmark = pytest.mark.timeout(180)


class Shop:
    """The application: its settings and its ledger."""

    def __init__(self, folder: Path, outbox: list[str]) -> None:
        self.folder = folder
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.variables = {
            "TASKBRIDGE_URL": f"huey+sqlite:///{folder}/queue.db?timing=outbox",
            "TASKBRIDGE_OUTBOX": ",".join(outbox),
            "SHOP_LEDGER": str(self.ledger),
        }
        taskbridge.configure(self.variables["TASKBRIDGE_URL"], outbox=outbox)

    def work_until(self, condition: Callable[[list[str]], bool]) -> None:
        """Let a real worker run until the ledger shows what is waited for, and stop it."""
        argv = (sys.executable, "-m", "taskbridge", "worker", "-A", "tests.outbox.shop")
        command = Command(argv=argv, environment=self.variables, directory=ROOT)
        with Process(command, log=self.folder / "log") as worker:
            worker.wait_until(lambda: condition(self.lines()), within=PATIENCE, what="seen to run all jobs")
            assert worker.stop(grace=PATIENCE) == 0

    def lines(self) -> list[str]:
        return self.ledger.read_text().splitlines()


@pytest.fixture(autouse=True)
def settings_as_they_were() -> Iterator[None]:
    yield
    router.configure(None)


def create(url: str) -> OutboxTable:
    """A database of the application, with an outbox, an inbox and a table for bookings."""
    with plain(url) as connection:
        connection.cursor().execute("CREATE TABLE bookings (name TEXT)")
        connection.commit()
    table = open_outbox(url)
    table.create()
    return table


def bookings(url: str) -> Counter[str]:
    with plain(url) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT name FROM bookings")
        return Counter(name for (name,) in cursor.fetchall())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_relay_that_is_killed_at_any_step_loses_no_job_and_doubles_no_effect(
    tmp_path: Path, postgres_server: Server
) -> None:
    urls = {step: f"sqlite:///{tmp_path}/{step.replace(' ', '-')}.db" for step in (*STEPS, PLANTED)}
    urls |= {f"{step} on PostgreSQL": postgres_server.fresh_url() for step in ("half sent", "sent")}
    effects = f"sqlite:///{tmp_path}/effects.db"
    application = Shop(tmp_path, list(urls.values()))
    create(effects).close()
    handles: dict[str, list[TaskResult[None]]] = {}
    with ExitStack() as stack:
        tables = []
        for name, url in urls.items():
            tables.append(create(url))
            stack.callback(tables[-1].close)
            with plain(url) as connection:
                calls = [(effects, f"{name} {number}") for number in range(JOBS)]
                handles[name] = shop.book.using(connection=connection).enqueue_many(calls)
                connection.commit()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.outbox.killed",
                *(f"{name.removesuffix(' on PostgreSQL')}={url}" for name, url in urls.items()),
            ],
            cwd=ROOT,
            env={**os.environ, **application.variables},
            check=True,
            timeout=PATIENCE.total_seconds(),
        )
        relays = [Relay(table) for table in tables]

        def relayed() -> bool:
            for relay in relays:
                relay.beat()
            return not any(table.counts() for table in tables)

        until(relayed)
    lost = handles.pop(PLANTED)
    expected = Counter[str]()
    for name, own in handles.items():
        expected.update(handle.id for handle in own)
        expected.update(handle.id for handle in own[: COPIES.get(name.removesuffix(" on PostgreSQL"), 0)])
    application.work_until(lambda lines: len(lines) >= expected.total())
    assert Counter(line.split()[0] for line in application.lines()) == expected
    assert bookings(effects) == Counter(f"{name} {number}" for name in handles for number in range(JOBS))
    assert {handle.detail_status for own in handles.values() for handle in own} == {DetailStatus.SUCCESSFUL}
    assert {handle.detail_status for handle in lost} == {DetailStatus.UNKNOWN}, "the planted bug went unseen"


def test_an_effect_happens_once_although_its_worker_is_killed_before_or_after_its_commit(
    tmp_path: Path, postgres_server: Server
) -> None:
    urls = {"SQLite": f"sqlite:///{tmp_path}/shop.db", "PostgreSQL": postgres_server.fresh_url()}
    application = Shop(tmp_path, list(urls.values()))
    for kind, url in urls.items():
        create(url).close()
        with plain(url) as connection:
            booking = shop.book_and_die.using(connection=connection)
            booking.enqueue_many([(url, f"before-{kind}"), (url, f"after-{kind}")])
            connection.commit()
    written = Counter(
        f"{when}-{kind} {what}"
        for kind in urls
        for when, *said in (("before", "dies", "first"), ("after", "dies", "repeated"))
        for what in said
    )
    application.work_until(lambda lines: not written - Counter(lines))
    assert Counter(application.lines()) == written
    for kind, url in urls.items():
        assert bookings(url) == Counter([f"before-{kind}", f"after-{kind}"])
