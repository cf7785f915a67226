"""Beside an application that knows nothing of TaskBridge, in both directions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from rq import Queue
from rq.job import Job

from taskbridge.errors import ConfigurationError, InvalidArguments, UnsupportedFeature
from tests.rq import tasks
from tests.rq.shop import PATIENCE

if TYPE_CHECKING:
    from tests.rq.conftest import Shop

STOCK_WORKER = ("rq.cli", "worker", "--serializer", "json", "--with-scheduler")


def test_the_legacy_shop_cannot_import_taskbridge(shop: Shop) -> None:
    legacy = shop.legacy("taskbridge")
    assert legacy.wait(within=PATIENCE) == 1
    assert "knows nothing of TaskBridge" in legacy.output()


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_what_legacy_code_enqueues_runs_on_our_worker(shop: Shop, serializer: str) -> None:
    shop.configure(f"?serializer={serializer}")
    legacy = shop.legacy("enqueue", serializer)
    assert legacy.wait(within=PATIENCE) == 0, legacy.output()
    worker = shop.worker()
    shop.until(lambda: shop.count("finished") == 2 and shop.count("failed") == 1, worker)
    assert shop.written("receipt") == [
        {"job": "receipt", "number": 42, "name": "Zoë"},
        {"job": "receipt", "number": 43, "name": "after"},
    ]
    assert shop.written("report") == [{"job": "report", "days": 7}]
    queue = Queue(connection=shop.redis, serializer=serializer)
    finished = [queue.fetch_job(job_id) for job_id in queue.finished_job_registry.get_job_ids()]
    assert {job.return_value() for job in finished if job} == {"receipt 42", "receipt 43"}
    assert shop.written("callback") == []
    worker.stop()
    assert "names shop.told: not called" in worker.output()


def test_a_pickled_job_fails_visibly_on_a_worker_that_reads_json(shop: Shop) -> None:
    shop.configure()
    legacy = shop.legacy("enqueue", "pickle")
    assert legacy.wait(within=PATIENCE) == 0, legacy.output()
    worker = shop.worker()
    shop.until(lambda: shop.count("failed") == 2, worker)
    assert shop.written("receipt") == []


def test_what_we_enqueue_for_native_workers_runs_on_a_stock_worker(shop: Shop) -> None:
    shop.configure("?workers=native")
    tasks.receipt.enqueue(44, name="Zoë")
    tasks.receipt.using(run_after=timedelta(seconds=1)).enqueue(45, name="later")
    worker = shop.legacy(*STOCK_WORKER)
    shop.until(lambda: shop.count("finished") == 2, worker)
    assert [entry["number"] for entry in shop.written("receipt")] == [44, 45]


def test_what_a_native_worker_cannot_do_is_refused(shop: Shop) -> None:
    shop.configure("?workers=native")
    with pytest.raises(UnsupportedFeature, match=r"retry of .*workers=native"):
        tasks.flaky.enqueue()
    with pytest.raises(UnsupportedFeature, match=r"timeout of .*workers=native"):
        tasks.limited.enqueue()
    with pytest.raises(InvalidArguments, match=r"argument 0 .* timedelta"):
        tasks.moved.enqueue(timedelta(seconds=1))
    with pytest.raises(ConfigurationError, match="Start them yourself"):
        shop.worker()


def test_our_metadata_does_no_harm_on_a_stock_worker(shop: Shop) -> None:
    shop.configure()
    handle = tasks.receipt.using(metadata={"tenant": "a"}, expires=timedelta(hours=1)).enqueue(46, name="Zoë")
    worker = shop.legacy(*STOCK_WORKER)
    shop.until(lambda: shop.count("finished") == 1, worker)
    assert Job.fetch(handle.id, shop.redis, "json").return_value() == "receipt 46"
