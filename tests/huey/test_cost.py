"""What a job costs in the worker: one command, or one transaction, more than Huey's own consumer takes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from huey.storage import RedisStorage
from redis import Redis

from tests.huey import tasks

if TYPE_CHECKING:
    from tests.huey.conftest import Shop

JOBS = 100
NATIVELY = 3
"""BRPOP (or BZPOPMIN), HMGET for a revocation, HDEL for the same."""


@pytest.mark.parametrize("shop", ["redis", "redis with priority"], indirect=True)
def test_a_job_takes_one_command_more_than_on_huey_alone(shop: Shop) -> None:
    backend = shop.configure("worker_type=thread")
    storage = backend.instance("default").storage
    assert isinstance(storage, RedisStorage)
    with Redis.from_url(shop.environment["SHOP_REDIS"]) as admin:
        worker = shop.worker()
        tasks.where.enqueue("warm")
        shop.until(lambda: shop.written("where"), worker)
        tasks.where.enqueue_many([(str(number),) for number in range(JOBS)])
        before = _calls(admin)
        shop.until(lambda: len(shop.written("where")) == JOBS + 1, worker)
        shop.until(lambda: shop.claimed() == 0, worker)
        said = _calls(admin) - before
    of_jobs = {name: count for name, count in said.items() if count >= JOBS / 2}
    assert sum(of_jobs.values()) <= JOBS * (NATIVELY + 1) + JOBS / 2, of_jobs


def _calls(admin: Redis) -> Counter[str]:
    stats = admin.info("commandstats")
    calls: Counter[str] = Counter()
    for key, figures in stats.items():
        name = key.removeprefix("cmdstat_")
        if name not in _NOT_THE_WORKERS:
            calls[name] = figures["calls"]
    return calls


_NOT_THE_WORKERS = {"scan", "info", "select", "zpopmin", "zrem", "zadd"}
"""This test's own, and what a script says within one command."""
