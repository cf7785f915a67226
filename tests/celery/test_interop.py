"""Beside an application that knows nothing of TaskBridge, in both directions."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import taskbridge
from taskbridge.errors import InvalidArguments, UnsupportedFeature
from taskbridge.process import Command, Process
from tests.celery import shop
from tests.celery.conftest import READY, START, start_worker
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.services import Server

pytestmark = pytest.mark.timeout(180)

LEGACY = Path(__file__).parents[1] / "legacy"
STOCK_WORKER = ("celery", "-A", "shop", "worker", "-P", "solo", "-l", "INFO", "-n", "stock@%h")
NATIVE_KINDS = ["int", "Decimal", "datetime", "UUID", "bytes"]
CALL = (44, Decimal("1.50"), datetime(2026, 3, 1, tzinfo=UTC), UUID(int=7), b"\xff")


class Shop:
    """The legacy shop's surroundings, and what its tasks wrote."""

    def __init__(self, broker: str, results: str, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.ledger = folder / "shop"
        self.environment = {
            "SHOP_BROKER": broker,
            "SHOP_RESULTS": results,
            "SHOP_LEDGER": str(self.ledger),
            "PYTHONPATH": f"{LEGACY.parent.parent}:{LEGACY / 'celery'}",
        }

    def written(self, job: str) -> list[dict[str, Any]]:
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [line for line in map(json.loads, lines) if line["job"] == job]

    def legacy(self, *arguments: str) -> Process:
        """A module run where TaskBridge cannot be imported."""
        command = Command(
            argv=(sys.executable, str(LEGACY / "without_taskbridge.py"), *arguments),
            environment={**self.environment, "PYTHONPATH": ""},
            directory=LEGACY / "celery",
            label=arguments[0],
        )
        return Process(command, log=self.folder / f"{arguments[0]}.log")

    def stock_worker(self) -> Process:
        worker = self.legacy(*STOCK_WORKER)
        worker.wait_for_line(READY, within=START)
        return worker


@pytest.fixture
def legacy_shop(broker: str, redis_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop(broker.removeprefix("celery+"), redis_server.fresh_url(), tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(LEGACY / "celery")
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    return made


def test_the_legacy_shop_cannot_import_taskbridge(tmp_path: Path) -> None:
    with Shop("memory://", "cache+memory://", tmp_path).legacy("taskbridge") as process:
        assert process.wait(within=START) == 1
        assert "knows nothing of TaskBridge" in (tmp_path / "taskbridge.log").read_text()


def test_what_legacy_code_enqueues_runs_on_our_worker_and_its_results_arrive(
    legacy_shop: Shop, broker: str, tmp_path: Path
) -> None:
    scheme = broker.partition(":")[0]
    taskbridge.configure(f"{scheme}://?app=shop:app", queues=("celery",))
    with start_worker(tmp_path, queues=("celery",), imports=(shop.__name__,)), legacy_shop.legacy("enqueue") as legacy:
        assert legacy.wait(within=START) == 0, (tmp_path / "enqueue.log").read_text()
        until(lambda: legacy_shop.written("tell"))
    assert "values 42: 1.50 3" in (tmp_path / "enqueue.log").read_text()
    assert legacy_shop.written("receipt") == [
        {"job": "receipt", "by": "taskbridge", "number": 42, "kinds": NATIVE_KINDS}
    ]
    assert [line["attempt"] for line in legacy_shop.written("flaky")] == [1, 2, 3]
    assert legacy_shop.written("tell") == [{"job": "tell", "by": "taskbridge", "value": 3}]


def test_what_we_enqueue_for_native_workers_runs_on_a_stock_worker(legacy_shop: Shop, broker: str) -> None:
    taskbridge.configure(f"{broker}?workers=native", queues=("celery",))
    shop.receipt.enqueue(*CALL)
    shop.receipt.using(run_after=timedelta(milliseconds=500), expires=timedelta(minutes=1)).enqueue(*CALL)
    shop.receipt.using(expires=timedelta(0)).enqueue(45, *CALL[1:])
    shop.tell.enqueue({"nested": [1, None]})
    with legacy_shop.stock_worker():
        until(lambda: len(legacy_shop.written("receipt")) == 2 and legacy_shop.written("tell"))
    expected = {"job": "receipt", "by": "legacy", "number": 44, "kinds": NATIVE_KINDS}
    assert legacy_shop.written("receipt") == [expected, expected]
    assert legacy_shop.written("tell")[0]["value"] == {"nested": [1, None]}


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_what_a_native_worker_cannot_do_is_refused(broker: str) -> None:
    taskbridge.configure(f"{broker}?workers=native", queues=("celery",))
    with pytest.raises(UnsupportedFeature, match=r"retry of .*workers=native"):
        shop.flaky.enqueue("x")
    with pytest.raises(UnsupportedFeature, match=r"result of .*workers=native"):
        shop.tell.using(result=True).enqueue(1)
    with pytest.raises(InvalidArguments, match="'__type__'"):
        shop.tell.enqueue([{"__type__": "decimal", "__value__": "1"}])


def test_our_metadata_does_no_harm_on_a_stock_worker(legacy_shop: Shop, broker: str) -> None:
    taskbridge.configure(broker, queues=("celery",))
    shop.flaky.using(metadata={"tenant": "a"}, expires=timedelta(hours=1)).enqueue("ours")
    with legacy_shop.stock_worker():
        until(lambda: len(legacy_shop.written("flaky")) == 3)
    assert [line["attempt"] for line in legacy_shop.written("flaky")] == [1, 2, 3]
    assert {line["by"] for line in legacy_shop.written("flaky")} == {"legacy"}
