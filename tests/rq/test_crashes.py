"""Workers on RQ that die, or whose attempts do: what they held runs again, and nothing else does."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from rq.command import send_stop_job_command
from rq.job import Job
from rq.serializers import JSONSerializer

from taskbridge.router import router
from taskbridge.store import Selection
from taskbridge_rq.lease import LEASE_SECONDS
from tests.rq import tasks

if TYPE_CHECKING:
    from tests.rq.conftest import Shop

RECOVERY = timedelta(seconds=30)
"""The bar. What is seen on an idle machine is 1 s."""

QUIET_SECONDS = 4
"""After which a dead worker of this machine has been noticed."""


def kill_worker_in_a_job(shop: Shop, kind: str = "taskbridge_rq.Worker") -> str:
    shop.ledger.touch()
    handle = tasks.gated.enqueue()
    worker = shop.worker(kind)
    shop.begun(worker)
    worker.kill_tree()
    return handle.id


def test_the_job_of_a_killed_worker_runs_again_with_nothing_but_a_new_worker(shop: Shop) -> None:
    shop.configure()
    job_id = kill_worker_in_a_job(shop)
    killed_at = time.time()
    shop.open_gate(0)
    shop.open_gate(1)
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 1, worker)
    first, second = shop.written("began")
    assert second["at"] - killed_at < RECOVERY.total_seconds()
    assert first["pid"] != second["pid"]
    assert (shop.crashes(job_id), shop.count("wip"), shop.count("failed")) == (1, 0, 0)


@pytest.mark.parametrize(
    ("killed", "rescuer"),
    [("taskbridge_rq.Worker", "tests.rq.bugs.WithoutReaper"), ("tests.rq.bugs.WithEarlyAck", "taskbridge_rq.Worker")],
)
def test_without_a_reaper_or_with_an_early_ack_that_job_is_lost(shop: Shop, killed: str, rescuer: str) -> None:
    shop.configure()
    kill_worker_in_a_job(shop, killed)
    worker = shop.worker(rescuer)
    tasks.late.enqueue()
    shop.until(lambda: shop.count("finished") == 1, worker)
    time.sleep(QUIET_SECONDS)
    assert len(shop.written("began")) == 1
    assert shop.redis.llen("rq:queue:default") == 0


def test_a_job_that_was_taken_and_not_begun_is_put_back_and_no_crash_is_counted(shop: Shop) -> None:
    shop.configure()
    handle = tasks.late.enqueue()
    shop.redis.lmove("rq:queue:default", "rq:queue:default:intermediate")
    shop.redis.rpush("rq:queue:default:intermediate", "no-such-job")
    shop.until(lambda: shop.count("finished") == 1, shop.worker())
    assert shop.crashes(handle.id) == 0
    assert len(shop.written("late")) == 1
    assert shop.redis.llen("rq:queue:default:intermediate") == 0


def test_what_is_no_jobs_id_and_what_is_no_hash_ends_neither_the_worker_nor_its_sweeps(shop: Shop) -> None:
    shop.configure()
    odd = tasks.late.enqueue()
    shop.redis.delete(f"rq:job:{odd.id}")
    shop.redis.set(f"rq:job:{odd.id}", "no hash")
    shop.redis.rpush("rq:queue:default", b"\xff\xfe", "a b:c", "")
    for registry in ("wip", "scheduled"):
        shop.redis.zadd(f"rq:{registry}:default", {f"{odd.id}:1".encode(): 1, b"\xff:\xff": 1, b"rq1": 1})
    crashed = tasks.late.enqueue()
    shop.redis.lrem("rq:queue:default", 1, crashed.id)
    shop.redis.hset(f"rq:job:{crashed.id}", mapping={"taskbridge_crashes": "many", "status": "started"})
    shop.redis.zadd("rq:wip:default", {f"{crashed.id}:1": 2})
    tasks.late.enqueue()
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 2, worker)
    shop.until(lambda: shop.redis.llen("rq:queue:default:intermediate") == 0, worker)
    assert shop.count("scheduled") == 0
    assert worker.running
    worker.stop()
    assert worker.output().count("of which there is no record") == 5


def test_a_job_that_is_stopped_by_command_does_not_run_again(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    handle = tasks.gated.enqueue()
    worker = shop.worker()
    shop.begun(worker)
    send_stop_job_command(shop.redis, handle.id)
    shop.until(lambda: shop.count("failed") == 1, worker)
    assert shop.redis.hget(f"rq:job:{handle.id}", "status") == b"stopped"
    assert (shop.count("wip"), shop.redis.llen("rq:queue:default")) == (0, 0)


@pytest.mark.parametrize("stock_dies", ["taken", "started"])
def test_what_a_stock_worker_left_is_put_back_once(shop: Shop, stock_dies: str) -> None:
    shop.configure()
    handle = tasks.late.enqueue()
    shop.redis.lmove("rq:queue:default", "rq:queue:default:intermediate")
    if stock_dies == "started":  # and its attempt had not taken it from the list
        shop.redis.zadd("rq:wip:default", {f"{handle.id}:1": int(time.time()) + 90})
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 1, worker)
    worker.stop()
    assert len(shop.written("late")) == 1
    assert [shop.count("wip"), shop.redis.llen("rq:queue:default:intermediate")] == [0, 0]


def test_a_job_without_a_record_of_its_result_is_settled_like_any_other(shop: Shop) -> None:
    shop.configure()
    tasks.brief.enqueue()
    worker = shop.worker()
    shop.until(lambda: shop.written("brief") and shop.count("wip") == 0, worker)
    assert not list(shop.redis.scan_iter("rq:job:*"))
    assert worker.running


def test_a_killed_process_of_an_attempt_is_replaced_at_once_by_the_same_worker(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    handle = tasks.gated.enqueue()
    worker = shop.worker()
    shop.begun(worker)
    os.kill(shop.written("began")[0]["pid"], signal.SIGKILL)
    shop.begun(worker, 2)
    shop.open_gate(1)
    shop.until(lambda: shop.count("finished") == 1, worker)
    first, second = shop.written("began")
    assert second["at"] - first["at"] < LEASE_SECONDS
    assert {first["parent"], second["parent"]} == {worker.pid}
    assert shop.crashes(handle.id) == 1


def test_a_job_that_kills_its_process_runs_four_times_then_fails_and_its_neighbours_run(shop: Shop) -> None:
    shop.configure()
    handle = tasks.poison.enqueue()
    tasks.late.enqueue()
    shop.until(lambda: shop.count("finished") == 1 and shop.count("failed") == 1, shop.worker())
    assert len(shop.written("poison")) == 4
    job = Job.fetch(handle.id, shop.redis, JSONSerializer)
    result = job.latest_result()
    assert result is not None
    assert "CrashedOut" in str(result.exc_string)
    assert shop.crashes(handle.id) == 0  # so that `rq requeue` gives it its budget again
    store = router.store()
    assert store is not None
    (letter,) = store.letters(Selection())
    assert (letter.id, letter.reason, letter.crashes) == (handle.id, "crashed out", 4)


def test_the_process_of_an_attempt_dies_with_its_worker(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    worker = shop.worker()
    shop.begun(worker)
    horse = shop.written("began")[0]["pid"]
    assert horse in {process.pid for process in worker.tree()}
    os.kill(worker.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(process.pid == horse for process in worker.tree()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert horse not in {process.pid for process in worker.tree()}


def test_delayed_jobs_do_not_wait_for_the_lock_of_a_killed_worker(shop: Shop) -> None:
    shop.configure()
    tasks.late.enqueue()
    killed = shop.worker()
    shop.until(lambda: shop.count("finished") == 1, killed)
    killed.kill_tree()
    tasks.late.using(run_after=timedelta(seconds=1)).enqueue()
    worker = shop.worker()
    started_at = time.monotonic()
    shop.until(lambda: shop.count("finished") == 2, worker)
    assert time.monotonic() - started_at < 40, "the lock outlives its holder by a minute"


def test_delayed_jobs_become_due_while_a_worker_is_busy(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    worker = shop.worker()
    shop.begun(worker)
    tasks.late.using(run_after=timedelta(seconds=1)).enqueue()
    shop.until(lambda: shop.redis.llen("rq:queue:default") == 1, worker)
    assert shop.count("scheduled") == 0
