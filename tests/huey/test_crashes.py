"""Nothing is lost and nothing doubled when workers die, are paused or stopped: real processes, real signals."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.huey import tasks
from tests.huey.conftest import PATIENCE

if TYPE_CHECKING:
    from taskbridge.process import Process
    from tests.huey.conftest import Shop

pytestmark = pytest.mark.timeout(90)
one_of_each = pytest.mark.parametrize("shop", ["sqlite", "redis"], indirect=True)


def events(shop: Shop, key: str, kind: str) -> list[dict[str, object]]:
    return [entry for entry in shop.written("lasting") if (entry["key"], entry["event"]) == (key, kind)]


def kill(worker: Process) -> None:
    worker.send(signal.SIGKILL)
    worker.kill_tree()


def nothing_is_left(shop: Shop) -> bool:
    storage = shop.configured().instance("default").storage
    return (storage.queue_size(), storage.schedule_size(), shop.claimed()) == (0, 0, 0)


def test_what_a_killed_tree_ran_runs_again_first_and_within_ten_seconds(shop: Shop) -> None:
    shop.configure()
    worker = shop.worker()
    tasks.lasting.enqueue("held", 1.5)
    shop.until(lambda: events(shop, "held", "start"), worker)
    tasks.lasting.enqueue("next", 0)
    kill(worker)
    killed = time.time()
    worker = shop.worker()
    shop.until(lambda: events(shop, "held", "end") and events(shop, "next", "end"), worker)
    starts = events(shop, "held", "start")
    assert len(starts) == 2
    assert float(str(starts[1]["at"])) - killed < 15, "10 s, on a machine that is not this busy"
    shop.until(lambda: nothing_is_left(shop), worker)
    assert worker.stop(grace=PATIENCE) == 0


@one_of_each
def test_what_a_killed_child_ran_runs_again_at_once(shop: Shop) -> None:
    shop.configure()
    worker = shop.worker()
    tasks.lasting.enqueue("held", 1.5)
    shop.until(lambda: events(shop, "held", "start"), worker)
    psutil.Process(int(str(events(shop, "held", "start")[0]["pid"]))).kill()
    killed = time.time()
    shop.until(lambda: events(shop, "held", "end"), worker)
    starts = events(shop, "held", "start")
    assert len(starts) == 2
    assert float(str(starts[1]["at"])) - killed < 7.5, "the consumer looks each second; a lease lasts eight"


def test_a_task_that_kills_its_worker_runs_four_times_and_its_neighbours_run(shop: Shop) -> None:
    shop.configure()
    tasks.deadly.enqueue()
    tasks.lasting.enqueue("neighbour", 0)
    worker = shop.worker()
    shop.until(lambda: "its worker died 4 times" in worker.output(), worker)
    shop.until(lambda: events(shop, "neighbour", "end") and nothing_is_left(shop), worker)
    assert len(shop.written("deadly")) == 4


@one_of_each
@pytest.mark.parametrize("worker_type", ["process", "thread"])
def test_a_stop_gives_back_what_is_not_done_in_its_grace(shop: Shop, worker_type: str) -> None:
    shop.configure(f"worker_type={worker_type}")
    tasks.lasting.enqueue("held", 6)
    worker = shop.worker(grace=timedelta(seconds=1))
    shop.until(lambda: events(shop, "held", "start"), worker)
    assert worker.stop(grace=PATIENCE) == 0
    assert (shop.configured().instance("default").storage.queue_size(), shop.claimed()) == (1, 0)
    assert not shop.crash_marks()
    shop.until(lambda: events(shop, "held", "end") and nothing_is_left(shop), shop.worker())
    assert len(events(shop, "held", "start")) == 2


@one_of_each
def test_a_stop_lets_finish_what_is_done_in_its_grace(shop: Shop) -> None:
    shop.configure()
    tasks.lasting.enqueue("held", 1)
    worker = shop.worker()
    shop.until(lambda: events(shop, "held", "start"), worker)
    assert worker.stop(grace=PATIENCE) == 0
    assert events(shop, "held", "end")
    assert nothing_is_left(shop)


@one_of_each
def test_workers_whose_consumer_was_killed_finish_their_job_and_end(shop: Shop) -> None:
    shop.configure()
    tasks.lasting.enqueue("held", 4)
    worker = shop.worker()
    shop.until(lambda: events(shop, "held", "start"), worker)
    children = [process for process in worker.tree() if process.pid != worker.pid]
    worker.send(signal.SIGKILL)
    _, alive = psutil.wait_procs([psutil.Process(child.pid) for child in children], timeout=30)
    assert not alive
    assert len(events(shop, "held", "end")) == 1
    assert nothing_is_left(shop)


@one_of_each
@pytest.mark.parametrize("planted", [(), ("tests.huey.planted.no_renewal",)])
def test_a_task_longer_than_its_lease_runs_once_while_it_is_renewed(shop: Shop, planted: tuple[str, ...]) -> None:
    shop.configure()
    hurried = (*planted, "tests.huey.planted.short_lease")
    tasks.lasting.enqueue("long", 6)
    worker, other = shop.worker(planted=hurried), shop.worker(planted=hurried)
    shop.until(lambda: events(shop, "long", "end"), worker)
    assert (len(events(shop, "long", "start")) > 1) is bool(planted)
    kill(other)


@one_of_each
@pytest.mark.parametrize("planted", [(), ("tests.huey.planted.no_fence",)])
def test_a_paused_worker_cannot_settle_what_was_given_to_another(shop: Shop, planted: tuple[str, ...]) -> None:
    shop.configure()
    hurried = (*planted, "tests.huey.planted.short_lease")
    tasks.failing_once_resumed.enqueue()
    zombie = shop.worker(planted=hurried)
    shop.until(lambda: shop.written("resumed"), zombie)
    paused = psutil.Process(shop.written("resumed")[0]["pid"])
    for process in (*zombie.tree(), psutil.Process(zombie.pid)):
        psutil.Process(process.pid).suspend()
    other = shop.worker(planted=hurried)
    shop.until(lambda: len(shop.written("resumed")) == 2, other)
    paused.resume()
    # Both now fail and ask for a second attempt; only one may get it.
    shop.until(lambda: any(entry["attempt"] == 3 for entry in shop.written("resumed")), other)
    second = [entry["attempt"] for entry in shop.written("resumed")].count(2)
    assert (second > 1) is bool(planted)
