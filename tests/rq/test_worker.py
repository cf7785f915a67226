"""What RQ's own worker does with our job class."""

from __future__ import annotations

import math
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rq import Callback, Queue, Webhook
from rq.job import Job
from rq.serializers import JSONSerializer, PickleSerializer

from taskbridge.backend import TakesRaw
from taskbridge.errors import EnqueueError
from taskbridge.redrive import redrive
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.store import Selection
from taskbridge_rq import RQBackend
from taskbridge_rq.job import retry_interval
from taskbridge_rq.raw import raw, unraw
from tests.rq import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.store import DeadLetter
    from tests.rq.conftest import Shop


def native_queue(shop: Shop) -> Queue:
    return Queue(connection=shop.redis, serializer=JSONSerializer)


def letters() -> list[DeadLetter]:
    store = router.store()
    assert store is not None
    return list(store.letters(Selection()))


def test_retries_are_transitions_of_one_record_and_never_early(shop: Shop) -> None:
    shop.configure()
    handle = tasks.flaky.enqueue()
    shop.until(lambda: shop.count("failed") == 1, shop.worker())
    attempts = shop.written("flaky")
    assert [(entry["attempt"], entry["id"]) for entry in attempts] == [(n, handle.id) for n in (1, 2, 3)]
    assert attempts[1]["at"] - attempts[0]["at"] >= 0.3
    assert attempts[2]["at"] - attempts[1]["at"] >= 0.6
    job = Job.fetch(handle.id, shop.redis, JSONSerializer)
    assert (job.number_of_retries, job.is_failed) == (2, True)
    result = job.latest_result()
    assert result is not None
    assert "ConnectionError: attempt 3" in str(result.exc_string)


def test_nothing_that_a_message_names_is_imported_or_called(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        hooks: dict[str, Any] = {
            "on_success": Callback("tests.rq.trap.spring"),
            "on_failure": Callback("tests.rq.trap.spring"),
            "webhooks": [Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", job_status="finished")],
        }
        native_queue(shop).enqueue("tests.rq.trap.spring", **hooks)
        native_queue(shop).enqueue("tests.rq.tasks.late", **hooks)
        shop.configure()
        shop.until(lambda: shop.count("finished") == 1 and shop.count("failed") == 1, shop.worker())
        with pytest.raises(TimeoutError):
            listener.accept()
    assert shop.written("trap") == []
    assert len(shop.written("late")) == 1


def test_a_record_that_cannot_be_read_fails_and_the_worker_goes_on(shop: Shop) -> None:
    broken = native_queue(shop).enqueue("tests.rq.tasks.late")
    shop.redis.hset(f"rq:job:{broken.id}", "data", b"\x80\x05no json")
    shop.configure()
    tasks.late.enqueue()
    shop.until(lambda: shop.count("finished") == 1, shop.worker())
    assert native_queue(shop).failed_job_registry.get_job_ids() == [broken.id]
    (letter,) = letters()
    assert letter.reason == "undecodable"
    assert letter.payload is not None
    job_id, fields = unraw(letter.payload)
    assert (job_id, fields[b"data"], fields[b"origin"]) == (broken.id, b"\x80\x05no json", b"default")


def test_what_could_not_be_read_runs_once_it_can_be_and_is_redriven(shop: Shop) -> None:
    pickled = Queue(connection=shop.redis, serializer=PickleSerializer).enqueue("tests.rq.tasks.late")
    shop.configure()
    for redrives in (0, 1):
        with shop.worker() as worker:
            shop.until(lambda: shop.count("failed") == 1 and letters(), worker)
        (letter,) = letters()
        assert (letter.reason, letter.redrives) == ("undecodable", redrives)
        store = router.store()
        assert store is not None
        if redrives:
            shop.configure("?serializer=pickle")
        redrive(letter.id, store)
        assert shop.count("failed") == 0
    shop.until(lambda: shop.count("finished") == 1, shop.worker())
    assert len(shop.written("late")) == 1
    assert shop.redis.hget(f"rq:job:{pickled.id}", "status") == b"finished"


def test_what_has_not_failed_yet_and_what_is_no_kept_job_is_not_put_back(shop: Shop) -> None:
    shop.configure()
    backend = router.backend()
    assert isinstance(backend, TakesRaw)
    waiting = native_queue(shop).enqueue("tests.rq.tasks.late")
    payload = raw(waiting.id, {b"data": b"\x80"})
    with pytest.raises(EnqueueError, match="has not failed"):
        backend.put_back("default", payload)
    with pytest.raises(EnqueueError, match="no RQ job that was kept"):
        backend.put_back("default", b"\x80")
    with pytest.raises(EnqueueError, match="names no queue"):
        backend.put_back("", payload)
    assert native_queue(shop).get_job_ids() == [waiting.id]


@given(st.dictionaries(st.binary(max_size=5), st.binary()))  # fields of one run have longer names
def test_a_kept_hash_has_the_bytes_that_it_had(fields: dict[bytes, bytes]) -> None:
    assert unraw(raw("an-id", fields)) == ("an-id", fields)


@pytest.mark.parametrize(("field", "value"), [("status", "nonsense"), ("timeout", "soon"), ("created_at", "never")])
def test_a_hash_that_rq_cannot_read_fails_and_does_not_end_the_worker(shop: Shop, field: str, value: str) -> None:
    shop.configure()
    broken = tasks.late.enqueue()
    shop.redis.hset(f"rq:job:{broken.id}", field, value)
    tasks.late.enqueue()
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 1, worker)
    assert shop.redis.zrange("rq:failed:default", 0, -1) == [broken.id.encode()]
    assert [letter.reason for letter in letters()] == ["undecodable"]
    assert worker.running


def test_hooks_run_once_in_the_worker_and_not_in_the_processes_that_it_forks(shop: Shop) -> None:
    shop.configure()
    tasks.late.enqueue_many([(), ()])
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 2, worker)
    assert worker.stop() == 0
    assert [entry["pid"] for entry in shop.written("start hook")] == [worker.pid]
    assert [entry["pid"] for entry in shop.written("stop hook")] == [worker.pid]
    assert {entry["parent"] for entry in shop.written("late")} == {worker.pid}


def test_the_password_stands_in_the_environment_alone(shop: Shop) -> None:
    shop.redis.acl_setuser(
        "shop", enabled=True, passwords=["+s3cret"], categories=["+@all"], keys=["*"], channels=["*"]
    )
    shop.url = shop.url.replace("redis://", "redis://shop:s3cret@")
    shop.configure()
    tasks.late.enqueue()
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 1, worker)
    for process in worker.tree():
        assert "s3cret" not in " ".join(process.cmdline())
    assert "s3cret" in psutil.Process(worker.pid).environ()["RQ_REDIS_URL"]


@pytest.fixture
def job_class(shop: Shop) -> Iterator[type[Job]]:
    shop.configure()
    backend = RQBackend(connection=shop.redis)
    backend.serve(registry, None)  # type: ignore[arg-type]  # nothing is run
    yield backend.job_class
    backend.close()


def test_rq_is_told_the_limit_of_the_task_so_that_it_kills_what_outlives_it(shop: Shop, job_class: type[Job]) -> None:
    limited = tasks.limited.enqueue()
    unlimited = tasks.late.enqueue()
    legacy = native_queue(shop).enqueue("tests.rq.tasks.limited")
    timeouts = [
        job_class.fetch(job_id, shop.redis, JSONSerializer).timeout for job_id in (limited.id, unlimited.id, legacy.id)
    ]
    assert timeouts == [3, -1, 180]


@pytest.mark.parametrize("now", [1000.0, 1000.001, 1000.5, 1000.999])
@pytest.mark.parametrize("delay", [0.001, 0.5, 1.0, 1.001, 59.999])
def test_a_retry_is_due_in_the_first_whole_second_that_is_not_early(now: float, delay: float) -> None:
    due = math.floor(now + retry_interval(now, timedelta(seconds=delay)))
    assert now + delay <= due < now + delay + 1


def test_a_retry_without_delay_goes_straight_to_the_queue() -> None:
    assert retry_interval(1000.5, timedelta(0)) == 0
