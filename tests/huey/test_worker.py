"""What Huey's own consumer does with our tasks."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskbridge.message import Message
from taskbridge.process import Command, Process
from tests.huey import tasks
from tests.huey.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.huey.conftest import Shop

one_of_each = pytest.mark.parametrize("shop", ["sqlite", "redis"], indirect=True)
in_a_file = pytest.mark.parametrize("shop", ["sqlite"], indirect=True)


@one_of_each
def test_what_nobody_can_run_is_logged_and_the_consumer_goes_on(shop: Shop) -> None:
    backend = shop.configure()
    storage = backend.instance("default").storage
    storage.enqueue(b"\x80\x05no json")
    storage.enqueue(b'{"id":"1","name":"shop.receipt","args":"ab","kwargs":{}}')
    storage.enqueue(b'{"id":"2","name":"shop.receipt","args":[1],"kwargs":{"name":"x"},"taskbridge":"[]"}')
    backend.enqueue([Message("3", "shop.forgotten", [], {})])
    tasks.receipt.enqueue(4, name="after")
    worker = shop.worker()
    shop.until(lambda: shop.written("receipt"), worker)
    assert [entry["number"] for entry in shop.written("receipt")] == [4]
    assert worker.stop(grace=PATIENCE) == 0
    assert (storage.queue_size(), storage.schedule_size(), shop.claimed()) == (0, 0, 0)
    reasons = [letter.reason for letter in shop.letters()]
    assert reasons == ["undecodable", "undecodable", "undecodable", "unknown task"]
    output = worker.output()
    for words in ("This is no Huey message in JSON", "headers of the Huey task 2 cannot be read", "shop.forgotten"):
        assert words in output


@one_of_each
def test_each_queue_has_a_consumer_of_its_own(shop: Shop) -> None:
    queues = ("default", "mail")
    shop.configure(queues=queues)
    for queue_name in queues:
        tasks.where.using(queue_name=queue_name).enqueue(queue_name)
    environment = {
        "TASKBRIDGE_URL": shop.url, "TASKBRIDGE_QUEUES": "default,mail", "SHOP_LEDGER": str(shop.ledger)
    }  # fmt: skip
    argv = (sys.executable, "-m", "taskbridge", "worker", "-A", "tests.huey.tasks", "-c", "2")
    with Process(Command(argv=argv, environment=environment), log=shop.folder / "worker.log") as worker:
        shop.until(lambda: len(shop.written("where")) == 2, worker)
        consumers = {entry["queue"]: entry["parent"] for entry in shop.written("where")}
        assert len(set(consumers.values())) == len(queues)
        assert set(consumers.values()) < {process.pid for process in worker.tree()}
        assert worker.stop(grace=PATIENCE) == 0


@in_a_file
@pytest.mark.parametrize(("worker_type", "is_main"), [("process", True), ("thread", False)])
def test_an_attempt_has_a_main_thread_in_processes_only(shop: Shop, worker_type: str, *, is_main: bool) -> None:
    backend = shop.configure(f"worker_type={worker_type}")
    assert backend.capabilities.prompt_timeout.is_refused is not is_main
    tasks.where.enqueue("default")
    worker = shop.worker()
    shop.until(lambda: shop.written("where"), worker)
    (entry,) = shop.written("where")
    assert (entry["is_main"], entry["pid"] == worker.pid) == (is_main, not is_main)


@one_of_each
def test_a_retry_keeps_id_and_metadata_and_counts(shop: Shop) -> None:
    shop.configure()
    handle = tasks.counting.using(metadata={"tenant": "ü"}, run_after=timedelta(seconds=1)).enqueue()
    shop.until(lambda: len(shop.written("counting")) == 2, shop.worker())
    first, second = shop.written("counting")
    assert [(entry["id"], entry["tenant"]) for entry in (first, second)] == [(handle.id, "ü")] * 2
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert second["at"] - first["at"] >= 0.3
