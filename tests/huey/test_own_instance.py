"""An instance of the application's own: its jobs and ours are claimed, under its own keys and tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from huey import MemoryHuey

import taskbridge
from taskbridge.errors import UnsupportedFeature
from taskbridge.process import Command, Process
from taskbridge.router import router
from taskbridge.store import open_store
from taskbridge.store.letter import Selection
from taskbridge_huey import HueyBackend
from tests.huey import tasks
from tests.huey.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.huey.conftest import Shop

pytestmark = pytest.mark.timeout(90)
PRODUCER = """
from tests.huey import own_shop, tasks
own_shop.own("native")
own_shop.own_deadly()
tasks.lasting.using(queue_name="shop", delivery="at_least_once").enqueue("ours", 1.5)
"""


def test_its_jobs_and_ours_survive_their_worker_and_its_crashes_are_bounded(shop: Shop) -> None:
    store = f"sqlite:///{shop.folder}/store.db"
    environment = {**shop.environment, "SHOP_STORE": store, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", PRODUCER], env={**os.environ, **environment}, check=True, timeout=40)
    argv = (sys.executable, "-m", "taskbridge", "worker", "-A", "tests.huey.own_shop", "-c", "1")

    def started(log: str) -> Process:
        return Process(Command(argv=argv, environment=environment), log=shop.folder / log)

    with started("first.log") as worker:
        shop.until(lambda: shop.written("own") and shop.written("lasting"), worker)
        worker.send(signal.SIGKILL)
        worker.kill_tree()
    with started("second.log") as worker:
        shop.until(lambda: any(entry["event"] == "end" for entry in shop.written("lasting")), worker)
        shop.until(lambda: list(open_store(store).letters(Selection())), worker)
        assert worker.stop(grace=PATIENCE) == 0
    assert [entry["text"] for entry in shop.written("own")] == ["native"]
    assert [entry["event"] for entry in shop.written("lasting")].count("start") == 2
    assert len(shop.written("own_deadly")) == 4
    (letter,) = open_store(store).letters(Selection())
    assert (letter.reason, letter.message and letter.message.task) == ("crashed out", "tests.huey.own_shop.own_deadly")


def test_a_storage_that_cannot_be_claimed_from_says_so() -> None:
    configured = router.configured
    try:
        backend = HueyBackend(huey=MemoryHuey("shop"))
        taskbridge.configure(backends={"default": {"url": backend, "queues": ["shop"]}})
        with pytest.raises(UnsupportedFeature, match=r"none that TaskBridge can claim from.*Redis or SQLite"):
            tasks.lasting.using(queue_name="shop", delivery="at_least_once").enqueue("refused", 0)
        with pytest.raises(UnsupportedFeature, match=r"store=URL"):
            tasks.kept.using(queue_name="shop").enqueue()
    finally:
        router.configure(configured)
