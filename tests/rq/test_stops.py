"""An orderly stop of a worker on RQ, in the middle of an attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.rq import tasks

if TYPE_CHECKING:
    from tests.rq.conftest import Shop


def test_a_stop_waits_for_the_attempt(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    worker = shop.worker()
    shop.begun(worker)
    for process in worker.tree():  # as systemd does
        process.terminate()
    shop.open_gate(0)
    assert worker.wait(within=timedelta(seconds=45)) == 0
    assert (len(shop.written("ended")), shop.count("finished")) == (1, 1)


def test_a_stop_gives_the_job_back_before_its_grace_is_over(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    handle = tasks.gated.enqueue()
    worker = shop.worker(grace=timedelta(seconds=4))
    shop.begun(worker)
    assert worker.stop(grace=timedelta(seconds=45)) == 0
    assert shop.redis.lrange("rq:queue:default", 0, -1) == [handle.id.encode()]
    assert (shop.crashes(handle.id), shop.count("wip"), len(shop.written("ended"))) == (0, 0, 0)


def test_a_stop_while_a_job_is_read_leaves_it_for_the_next_worker(shop: Shop) -> None:
    shop.configure()
    shop.ledger.touch()
    shop.open_gate(0)
    tasks.gated.enqueue()
    assert shop.worker("tests.rq.stopped.WhileItReads").wait(within=timedelta(seconds=40)) == 0
    assert (len(shop.written("began")), shop.count("failed")) == (0, 0)
    next_worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 1, next_worker)
