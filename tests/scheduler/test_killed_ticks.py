"""Each tick is enqueued once, although the processes that tick are killed."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import time
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

import taskbridge
from taskbridge.process import Command, Process
from taskbridge.router import router
from tests.scheduler import shop
from tests.scheduler.ticking import DAY, PATIENCE, begin, store, wind_back

if TYPE_CHECKING:
    from taskbridge.services import Server

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("step", ["claimed", "enqueued"])
def test_a_scheduler_that_is_killed_at_any_step_leaves_one_run_of_the_tick(tmp_path: Path, step: str) -> None:
    url, noted = f"huey+sqlite:///{tmp_path}/queue.db", tmp_path / "noted"
    taskbridge.configure(url)
    duty = begin(shop.daily(str(noted)))
    wind_back("daily", DAY)
    argv = (sys.executable, "-m", "tests.scheduler.dying", "tick", url, step, str(noted))
    with Process(Command(argv=argv, directory=ROOT), log=tmp_path / "log") as scheduler:
        scheduler.wait_for_line(f"^{step}$", within=PATIENCE)
        os.kill(scheduler.pid, signal.SIGKILL)
    # The claim of the dead ends, and another enqueues the tick, under the same id.
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while store().standings(["daily"])["daily"].last_tick is None:
        assert time.monotonic() < deadline
        duty.beat()
        time.sleep(0.1)
    with closing(sqlite3.connect(tmp_path / "queue.db")) as connection, connection:
        ((waiting,),) = connection.execute("SELECT count(*) FROM task")
    assert waiting == (1 if step == "claimed" else 2)
    shop.note.enqueue(str(noted), "sentinel")
    worker = (sys.executable, "-m", "taskbridge", "worker", "-A", "tests.scheduler.shop", "--no-scheduler")
    command = Command(argv=worker, environment={"TASKBRIDGE_URL": url}, directory=ROOT)
    with Process(command, log=tmp_path / "worker") as running:
        running.wait_until(lambda: noted.exists() and "sentinel" in noted.read_text(), within=PATIENCE)
    assert noted.read_text().count("tick") == 1
    router.configure(None)


def test_three_schedulers_enqueue_each_tick_once_while_two_of_them_end(redis_server: Server, tmp_path: Path) -> None:
    url = redis_server.fresh_url()
    client: Any = Redis.from_url(url)

    def seen() -> list[datetime]:
        texts = [text.decode() for key in client.keys("default*") for text in client.lrange(key, 0, -1)]
        found = [match for text in texts for match in re.findall(r'nominal[\\":]+([0-9T:Z+-]+)', text)]
        return sorted(datetime.fromisoformat(each) for each in found)

    argv = (sys.executable, "-m", "taskbridge", "scheduler", "-A", "tests.scheduler.clockwork")
    command = Command(argv=argv, environment={"TASKBRIDGE_URL": f"celery+{url}"}, directory=ROOT)
    with ExitStack() as stack:
        running = [stack.enter_context(Process(command, log=tmp_path / f"log{number}")) for number in range(3)]
        for each in running:
            each.wait_for_line("started for .*ticks:default", within=PATIENCE)

        def holder() -> Process:
            for each in running:
                each.wait_until(
                    lambda: any("took over the duty ticks" in other.output() for other in running), within=PATIENCE
                )
            return next(each for each in running if "took over the duty ticks" in each.output())

        def wait_for(count: int) -> None:
            running[-1].wait_until(lambda: len(seen()) >= count, within=PATIENCE, what=f"seen to tick {count} times")

        wait_for(2)
        killed = holder()
        running.remove(killed)
        os.kill(killed.pid, signal.SIGKILL)
        before = len(seen())
        wait_for(before + 3)
        stopped = holder()
        running.remove(stopped)
        stopped.send(signal.SIGTERM)
        assert stopped.wait(within=PATIENCE) == 0
        before = len(seen())
        wait_for(before + 2)
    found = seen()
    # Nothing is missing and nothing is double, although who enqueued it changed twice.
    assert found == [found[0] + timedelta(seconds=number) for number in range(len(found))]
    client.close()
