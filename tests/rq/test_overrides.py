"""What we override of RQ and redis-py is there, and is still needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis.client
import rq
import rq.job
from redis import exceptions
from redis.retry import Retry

import taskbridge_rq.job
import taskbridge_rq.queue
from taskbridge_rq import Worker
from taskbridge_rq.fence import FencedPipeline, FencedRedis, LeaseLost
from taskbridge_rq.fenced_worker import FencedWorker
from taskbridge_rq.patience import Patience, passes
from tests.rq import tasks

if TYPE_CHECKING:
    from tests.rq.conftest import Shop

OURS = {"run", "tasks", "known_callbacks", "crashes", "found", "lease", "settled", "give_up"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Worker, rq.Worker),
        (FencedWorker, rq.Worker),
        (taskbridge_rq.queue.Queue, rq.Queue),
        (taskbridge_rq.job.Job, rq.job.Job),
        (FencedPipeline, redis.client.Pipeline),
        (Patience, Retry),
    ],
)
def test_each_public_name_of_a_subclass_is_one_that_its_base_calls(ours: type, theirs: type) -> None:
    names = {name for name in vars(ours) if not name.startswith("_")} - OURS - {"owner", "is_over"}
    assert names
    assert {name for name in names if not hasattr(theirs, name)} == set()


def test_rq_still_schedules_outside_the_transaction_that_it_is_given(shop: Shop) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    for queue_class, written in ((rq.Queue, 1), (taskbridge_rq.queue.Queue, 0)):
        shop.redis.flushdb()
        queue = queue_class(connection=shop.redis)
        with shop.redis.pipeline() as pipeline:
            queue.schedule_job(queue.create_job("shop.receipt"), later, pipeline=pipeline)
        assert shop.count("scheduled") == written


def test_a_fenced_transaction_happens_whole_while_the_job_is_held_and_not_at_all_afterwards(shop: Shop) -> None:
    shop.redis.zadd("held", {"job:1": 1})
    for is_watched in (False, True):
        fenced = FencedRedis(shop.redis, registry="held", entry="job:1", also=[("INCR", "also")])
        with fenced.pipeline() as pipeline:
            if is_watched:
                pipeline.watch("watched")
                pipeline.multi()
            pipeline.hset("hash", mapping={"a": b"\x00\xff", "b": 1.5})
            pipeline.execute()
            pipeline.incr("after")
            assert pipeline.execute() == [1 + is_watched]
    assert (shop.redis.hgetall("hash"), shop.redis.get("also")) == ({b"a": b"\x00\xff", b"b": b"1.5"}, b"2")
    shop.redis.zrem("held", "job:1")
    fenced = FencedRedis(shop.redis, registry="held", entry="job:1")
    with fenced.pipeline() as pipeline:
        pipeline.delete("hash")
        with pytest.raises(LeaseLost):
            pipeline.execute()
    assert shop.redis.exists("hash") == 1


def test_a_watched_key_that_changes_still_stops_a_fenced_transaction(shop: Shop) -> None:
    shop.redis.zadd("held", {"job:1": 1})
    fenced = FencedRedis(shop.redis, registry="held", entry="job:1")
    with fenced.pipeline() as pipeline:
        pipeline.watch("watched")
        shop.redis.set("watched", 1)
        pipeline.multi()
        pipeline.set("written", 1)
        with pytest.raises(exceptions.WatchError):
            pipeline.execute()
    assert shop.redis.exists("written") == 0


@pytest.mark.parametrize(
    ("error", "is_passing"),
    [
        (exceptions.ConnectionError("gone"), True),
        (exceptions.BusyLoadingError("LOADING"), True),
        (exceptions.OutOfMemoryError("OOM"), True),
        (exceptions.ResponseError("Command # 1 (SET) of pipeline caused error: MISCONF no disk"), True),
        (exceptions.AuthenticationError("WRONGPASS"), False),
        (exceptions.ResponseError("WRONGTYPE"), False),
    ],
)
def test_a_worker_waits_for_what_will_pass(error: exceptions.RedisError, is_passing: bool) -> None:
    assert passes(error) == is_passing


def test_a_full_server_stops_no_worker(own_shop: Shop) -> None:
    own_shop.configure()
    tasks.late.enqueue_many([()] * 3)
    own_shop.redis.config_set("maxmemory", 1)
    worker = own_shop.worker()
    worker.wait_for_line("Redis does not take a command", within=timedelta(seconds=30))
    assert worker.running
    own_shop.redis.config_set("maxmemory", 0)
    own_shop.until(lambda: own_shop.count("finished") == 3, worker)
