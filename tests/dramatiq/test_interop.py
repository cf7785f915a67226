"""Beside an application that knows nothing of TaskBridge, in both directions, on both brokers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import pytest
from redis import Redis

import taskbridge
from taskbridge.errors import InvalidArguments, UnsupportedFeature
from taskbridge.process import Command, Process
from tests.dramatiq import shop
from tests.dramatiq.conftest import READY, START, Ledger, start_worker, wait_for

if TYPE_CHECKING:
    from taskbridge.services import Server

LEGACY = Path(__file__).parents[1] / "legacy"
STOCK_WORKER = ("dramatiq", "shop", "-p", "1", "-t", "1")


@pytest.fixture(params=["redis", "amqp"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """An empty Redis database or RabbitMQ vhost of one test."""
    server: Server = request.getfixturevalue("redis_server" if request.param == "redis" else "rabbitmq_server")
    return server.fresh_url()


@pytest.fixture(autouse=True)
def _configured(broker_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.clear()
    monkeypatch.setenv("TASKBRIDGE_URL", f"dramatiq+{broker_url}")
    taskbridge.configure()


def legacy(broker_url: str, ledger: Ledger, folder: Path, *argv: str) -> Process:
    """A module of the shop, where TaskBridge cannot be imported."""
    command = Command(
        argv=(sys.executable, str(LEGACY / "without_taskbridge.py"), *argv),
        environment={"SHOP_BROKER": broker_url, "SHOP_LEDGER": str(ledger.path)},
        directory=LEGACY / "dramatiq",
    )
    return Process(command, log=folder / "legacy.log")


def dead(broker_url: str) -> int:
    """How many dead letters there are."""
    if broker_url.startswith("redis"):
        with Redis.from_url(broker_url) as client:
            return int(client.zcard("dramatiq:default.XQ"))
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        return int(connection.channel().queue_declare("default.XQ", passive=True).method.message_count)


def test_the_legacy_shop_cannot_import_taskbridge(broker_url: str, ledger: Ledger, tmp_path: Path) -> None:
    process = legacy(broker_url, ledger, tmp_path, "taskbridge")
    assert process.wait(within=START) == 1
    assert "knows nothing of TaskBridge" in process.output()


def test_what_legacy_code_enqueues_runs_on_our_worker(broker_url: str, ledger: Ledger, tmp_path: Path) -> None:
    process = legacy(broker_url, ledger, tmp_path, "enqueue")
    assert process.wait(within=START) == 0, process.output()
    with start_worker(tmp_path, imports=("tests.dramatiq.shop",)):
        receipts = ledger.wait("receipt", count=2)
        wait_for(lambda: dead(broker_url) == 2)
    assert [(event["number"], event["name"]) for event in receipts] == [(42, "Zoë"), (43, "later")]
    # The task's retry counts, not the message's max_retries; and a message's max_age is heard.
    assert [event["attempt"] for event in ledger.events("report")] == [1, 2]


def test_what_we_enqueue_for_native_workers_runs_on_a_stock_worker(
    broker_url: str, ledger: Ledger, tmp_path: Path
) -> None:
    taskbridge.configure(f"dramatiq+{broker_url}?workers=native")
    shop.receipt.enqueue(1, name="Zoë")
    shop.receipt.using(run_after=timedelta(seconds=0.3), expires=timedelta(minutes=1)).enqueue(2, name="later")
    shop.receipt.using(run_after=timedelta(seconds=0.3), expires=timedelta(seconds=0.1)).enqueue(3, name="too late")
    with legacy(broker_url, ledger, tmp_path, *STOCK_WORKER) as worker:
        worker.wait_for_line(READY, within=START)
        ledger.wait("receipt", count=2)
        wait_for(lambda: dead(broker_url) == 1)
    assert [event["number"] for event in ledger.events("receipt")] == [1, 2]


def test_a_job_for_native_workers_is_not_retried_unless_it_says_so(
    broker_url: str, ledger: Ledger, tmp_path: Path
) -> None:
    taskbridge.configure(f"dramatiq+{broker_url}?workers=native")
    shop.audit.enqueue(7)
    with legacy(broker_url, ledger, tmp_path, *STOCK_WORKER):
        wait_for(lambda: dead(broker_url) == 1)
    assert len(ledger.events("audit")) == 1


def test_what_a_native_worker_cannot_do_is_refused(broker_url: str) -> None:
    taskbridge.configure(f"dramatiq+{broker_url}?workers=native")
    with pytest.raises(UnsupportedFeature, match=r"retry of .*workers=native"):
        shop.report.enqueue(1)
    with pytest.raises(UnsupportedFeature, match=r"timeout of .*workers=native"):
        shop.receipt.using(timeout=timedelta(seconds=1)).enqueue(1, name="x")
    with pytest.raises(UnsupportedFeature, match=r"result of .*workers=native"):
        shop.receipt.using(result=True).enqueue(1, name="x")
    with pytest.raises(InvalidArguments, match="timedelta"):
        shop.moved.enqueue(timedelta(seconds=1))


def test_our_metadata_does_no_harm_on_a_stock_worker(broker_url: str, ledger: Ledger, tmp_path: Path) -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    shop.receipt.using(metadata={"tenant": "a"}, expires=expires).enqueue(46, name="Zoë")
    with legacy(broker_url, ledger, tmp_path, *STOCK_WORKER):
        assert ledger.wait("receipt")[0]["name"] == "Zoë"
