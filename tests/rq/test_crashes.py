"""Nothing is lost on RQ: workers are killed, paused and stopped at each point of a job's way."""

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
from taskbridge_rq.lease import GRACE_SECONDS, LEASE_SECONDS
from tests.rq import tasks

if TYPE_CHECKING:
    from taskbridge.process import Process
    from tests.rq.conftest import Shop

RECOVERY = timedelta(seconds=30)
"""The bar. What is seen on an idle machine is 8 to 10 s."""

SILENCE = LEASE_SECONDS + GRACE_SECONDS + 4
"""Seconds after which a dead worker has been noticed."""


def open_gate(shop: Shop, number: int) -> None:
    (shop.folder / f"gate-{number}").touch()


def crashes(shop: Shop, job_id: str) -> int:
    return int(shop.redis.hget(f"rq:job:{job_id}", "taskbridge_crashes") or 0)


def begun(shop: Shop, worker: Process, times: int = 1) -> None:
    shop.until(lambda: len(shop.written("began")) == times, worker)


def kill_worker_in_a_job(shop: Shop, kind: str = "taskbridge_rq.Worker") -> str:
    shop.ledger.touch()
    handle = tasks.gated.enqueue()
    worker = shop.worker(kind)
    begun(shop, worker)
    worker.kill_tree()
    return handle.id


def test_the_job_of_a_killed_worker_runs_again_with_nothing_but_a_new_worker(shop: Shop) -> None:
    shop.configure()
    job_id = kill_worker_in_a_job(shop)
    killed_at = time.time()
    open_gate(shop, 0)
    open_gate(shop, 1)
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 1, worker)
    first, second = shop.written("began")
    assert second["at"] - killed_at < RECOVERY.total_seconds()
    assert first["pid"] != second["pid"]
    assert (crashes(shop, job_id), shop.count("wip"), shop.count("failed")) == (1, 0, 0)


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
    time.sleep(SILENCE)
    assert len(shop.written("began")) == 1
    assert shop.redis.llen("rq:queue:default") == 0


def test_a_job_that_was_taken_and_not_begun_is_put_back_and_no_crash_is_counted(shop: Shop) -> None:
    shop.configure()
    handle = tasks.late.enqueue()
    shop.redis.lmove("rq:queue:default", "rq:queue:default:intermediate")
    shop.redis.rpush("rq:queue:default:intermediate", "no-such-job")
    shop.until(lambda: shop.count("finished") == 1, shop.worker())
    assert crashes(shop, handle.id) == 0
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
    begun(shop, worker)
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
    begun(shop, worker)
    os.kill(shop.written("began")[0]["pid"], signal.SIGKILL)
    begun(shop, worker, 2)
    open_gate(shop, 1)
    shop.until(lambda: shop.count("finished") == 1, worker)
    first, second = shop.written("began")
    assert second["at"] - first["at"] < LEASE_SECONDS
    assert {first["parent"], second["parent"]} == {worker.pid}
    assert crashes(shop, handle.id) == 1


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
    assert crashes(shop, handle.id) == 0  # so that `rq requeue` gives it its budget again
    store = router.store()
    assert store is not None
    (letter,) = store.letters(Selection())
    assert (letter.id, letter.reason, letter.crashes) == (handle.id, "crashed out", 4)


def test_the_process_of_an_attempt_dies_with_its_worker(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    worker = shop.worker()
    begun(shop, worker)
    horse = shop.written("began")[0]["pid"]
    assert horse in {process.pid for process in worker.tree()}
    os.kill(worker.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(process.pid == horse for process in worker.tree()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert horse not in {process.pid for process in worker.tree()}


def zombie(shop: Shop, enqueue: object, kind: str) -> tuple[Process, Process]:
    """A worker that was paused until its job ran elsewhere, and whose attempt then ends; and that other worker."""
    assert callable(enqueue)
    shop.ledger.touch()
    enqueue()
    paused = shop.worker(kind)
    begun(shop, paused)
    os.kill(paused.pid, signal.SIGSTOP)  # its attempt's process goes on
    other = shop.worker(kind)
    begun(shop, other, 2)
    horse = shop.written("began")[0]["pid"]
    open_gate(shop, 0)
    shop.until(lambda: shop.written("ended"), other)
    deadline = time.monotonic() + 10
    while _runs(paused, horse) and time.monotonic() < deadline:
        time.sleep(0.05)
    return paused, other


def _runs(worker: Process, pid: int) -> bool:
    return any(process.pid == pid for process in worker.tree())


@pytest.mark.parametrize("outcome", ["return", "raise", "retry"])
def test_a_paused_worker_records_nothing_over_the_head_of_its_replacement(shop: Shop, outcome: str) -> None:
    shop.configure()
    again = tasks.gated_retry.enqueue if outcome == "retry" else lambda: tasks.gated.enqueue(then=outcome)
    paused, other = zombie(shop, again, "taskbridge_rq.Worker")
    assert [shop.count(registry) for registry in ("finished", "failed", "scheduled", "wip")] == [0, 0, 0, 1]
    (job_key,) = shop.redis.scan_iter("rq:job:*")
    assert shop.redis.hget(job_key, "status") == b"started"
    os.kill(paused.pid, signal.SIGCONT)
    open_gate(shop, 1)
    ended = {"return": "finished", "raise": "failed", "retry": "scheduled"}[outcome]
    shop.until(lambda: shop.count(ended) == 1, other)
    assert paused.running


def test_without_a_fence_it_does(shop: Shop) -> None:
    shop.configure()
    zombie(shop, tasks.gated.enqueue, "tests.rq.bugs.WithoutFence")
    assert shop.count("finished") == 1


def test_a_paused_tree_ends_its_attempt_when_it_goes_on(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    paused = shop.worker()
    begun(shop, paused)
    horse = shop.written("began")[0]["pid"]
    tree = [process.pid for process in paused.tree()]
    for pid in tree:
        os.kill(pid, signal.SIGSTOP)
    other = shop.worker()
    begun(shop, other, 2)
    for pid in tree:
        os.kill(pid, signal.SIGCONT)
    shop.until(lambda: not _runs(paused, horse), paused)
    open_gate(shop, 1)
    shop.until(lambda: shop.count("finished") == 1, other)
    assert len(shop.written("ended")) == 1


@pytest.mark.parametrize(("kind", "times"), [("taskbridge_rq.Worker", 1), ("tests.rq.bugs.WithoutRenewal", 2)])
def test_a_job_longer_than_its_lease_is_doubled_only_if_the_renewal_is_forgotten(
    shop: Shop, kind: str, times: int
) -> None:
    shop.configure()
    tasks.lasting.enqueue(float(SILENCE))
    worker = shop.worker(kind)
    begun(shop, worker)
    shop.worker(kind)
    shop.until(lambda: shop.count("finished") == 1 or len(shop.written("began")) > 1, worker)
    assert len(shop.written("began")) == times


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
    assert time.monotonic() - started_at < 10


def test_delayed_jobs_become_due_while_a_worker_is_busy(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    worker = shop.worker()
    begun(shop, worker)
    tasks.late.using(run_after=timedelta(seconds=1)).enqueue()
    shop.until(lambda: shop.redis.llen("rq:queue:default") == 1, worker)
    assert shop.count("scheduled") == 0


def test_a_stop_waits_for_the_attempt(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    worker = shop.worker()
    begun(shop, worker)
    for process in worker.tree():  # as systemd does
        process.terminate()
    open_gate(shop, 0)
    assert worker.wait(within=timedelta(seconds=20)) == 0
    assert (len(shop.written("ended")), shop.count("finished")) == (1, 1)


def test_a_stop_gives_the_job_back_before_its_grace_is_over(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    handle = tasks.gated.enqueue()
    worker = shop.worker(grace=timedelta(seconds=4))
    begun(shop, worker)
    assert worker.stop(grace=timedelta(seconds=20)) == 0
    assert shop.redis.lrange("rq:queue:default", 0, -1) == [handle.id.encode()]
    assert (crashes(shop, handle.id), shop.count("wip"), len(shop.written("ended"))) == (0, 0, 0)


def test_a_worker_survives_a_restart_of_redis_in_the_middle_of_a_job(own_shop: Shop, own_server: object) -> None:
    shop = own_shop
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    tasks.late.enqueue()
    worker = shop.worker()
    begun(shop, worker)
    time.sleep(1.5)  # the server's file is synced each second
    own_server.kill()  # type: ignore[attr-defined]  # a private server
    open_gate(shop, 0)
    time.sleep(LEASE_SECONDS + 2)  # longer than a lease
    own_server.restart()  # type: ignore[attr-defined]  # a private server
    shop.until(lambda: shop.count("finished") == 2, worker)
    assert len(shop.written("began")) == 1
    assert (shop.count("wip"), shop.count("failed")) == (0, 0)


def test_a_worker_starts_before_redis_does(own_shop: Shop, own_server: object) -> None:
    shop = own_shop
    shop.configure()
    tasks.late.enqueue()
    time.sleep(1.5)  # the server's file is synced each second
    own_server.kill()  # type: ignore[attr-defined]  # a private server
    worker = shop.worker()
    worker.wait_for_line("Redis does not take a command", within=timedelta(seconds=30))
    own_server.restart()  # type: ignore[attr-defined]  # a private server
    shop.until(lambda: shop.count("finished") == 1, worker)


def test_an_idle_worker_stops_while_redis_is_gone(own_shop: Shop, own_server: object) -> None:
    shop = own_shop
    shop.configure()
    tasks.late.enqueue()
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 1, worker)
    own_server.kill()  # type: ignore[attr-defined]  # a private server
    worker.wait_for_line("Redis does not take a command", within=timedelta(seconds=30))
    worker.send(signal.SIGTERM)
    assert worker.wait(within=timedelta(seconds=20)) is not None
    own_server.restart()  # type: ignore[attr-defined]  # a private server


def test_a_worker_with_a_wrong_password_ends_instead_of_waiting(shop: Shop) -> None:
    shop.redis.acl_setuser("shop", enabled=True, passwords=["+s3cret"], categories=["+@all"], keys=["*"])
    shop.url = shop.url.replace("redis://", "redis://shop:wr0ng@")
    shop.configure()
    worker = shop.worker()
    assert worker.wait(within=timedelta(seconds=30)) == 1
    assert "password" in worker.output()
    assert "wr0ng" not in worker.output()
