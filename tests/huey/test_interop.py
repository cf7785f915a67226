"""Beside an application that knows nothing of TaskBridge, in both directions."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.errors import ConfigurationError, InvalidArguments, UnsupportedFeature
from tests.huey import tasks
from tests.huey.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.huey.conftest import Shop

NATIVE = "workers=native&serializer=pickle"
PARCEL = ((1, {2}), Decimal("1.50"), datetime(2026, 3, 1, tzinfo=UTC))


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_the_legacy_shop_cannot_import_taskbridge(shop: Shop) -> None:
    legacy = shop.legacy("taskbridge")
    assert legacy.wait(within=PATIENCE) == 1
    assert "knows nothing of TaskBridge" in legacy.output()


def test_what_legacy_code_enqueues_runs_on_our_worker(shop: Shop) -> None:
    shop.configure("serializer=pickle")
    legacy = shop.legacy("enqueue")
    assert legacy.wait(within=PATIENCE) == 0, legacy.output()
    worker = shop.worker()
    shop.until(lambda: len(shop.written("receipt")) == 2 and len(shop.written("flaky")) == 3, worker)
    receipts = {entry["number"]: entry["name"] for entry in shop.written("receipt")}
    assert receipts == {42: "Zoë\ntaskbridge:{", 43: "later"}
    assert [entry["given"] for entry in shop.written("parcel")] == [repr(PARCEL)]


def test_a_pickle_is_never_opened_by_a_worker_that_was_not_told_to(shop: Shop) -> None:
    backend = shop.configure()
    storage = backend.instance("default").storage
    sprung = shop.folder / "sprung"
    bomb = pickle.dumps(Bomb(sprung))
    storage.enqueue(bomb)
    storage.add_to_schedule(bomb, datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1))
    worker = shop.worker()
    tasks.receipt.using(run_after=timedelta(seconds=1)).enqueue(1, name="after")
    shop.until(lambda: shop.written("receipt"), worker)
    shop.until(lambda: (storage.queue_size(), storage.schedule_size(), shop.claimed()) == (0, 0, 0), worker)
    assert [letter.payload for letter in shop.letters()] == [bomb]
    assert not sprung.exists()
    pickle.loads(bomb)
    assert sprung.exists(), "the bomb is a dud"


def test_what_we_enqueue_for_native_workers_runs_on_a_stock_consumer(shop: Shop) -> None:
    shop.configure(NATIVE)
    later = datetime.now(UTC) + timedelta(seconds=2)
    tasks.receipt.using(run_after=later, expires=timedelta(hours=1)).enqueue(46, name="later")
    tasks.receipt.using(expires=datetime.now(UTC) - timedelta(seconds=1)).enqueue(44, name="too late")
    tasks.receipt.using(run_after=later, expires=later - timedelta(seconds=1)).enqueue(45, name="too late")
    tasks.parcel.enqueue_many([PARCEL, PARCEL])
    tasks.flaky.enqueue()
    tasks.receipt.enqueue(47, name="Zoë")
    consumer = shop.consumer()
    shop.until(lambda: len(shop.written("receipt")) == 2 and len(shop.written("flaky")) == 3, consumer)
    started = {entry["number"]: entry["at"] for entry in shop.written("receipt")}
    assert started.keys() == {46, 47}
    assert started[46] >= later.timestamp()
    assert [entry["given"] for entry in shop.written("parcel")] == [repr(PARCEL)] * 2
    shop.until(lambda: consumer.output().count("expired, not executing") == 2, consumer)
    assert len(shop.written("receipt")) == 2


def test_a_stock_consumer_runs_the_larger_priority_first_or_it_is_refused(shop: Shop) -> None:
    backend = shop.configure(NATIVE)
    if backend.capabilities.priority.is_refused:
        with pytest.raises(UnsupportedFeature, match=r"priority of .*\?priority=yes"):
            tasks.receipt.using(priority=1).enqueue(1, name="refused")
        return
    for priority in (-100, 0, 100, 5):
        tasks.receipt.using(priority=priority).enqueue(priority, name="by priority")
    shop.until(lambda: len(shop.written("receipt")) == 4, shop.consumer())
    assert [entry["number"] for entry in shop.written("receipt")] == [100, 5, 0, -100]


def test_our_metadata_does_no_harm_on_a_stock_consumer(shop: Shop) -> None:
    shop.configure("serializer=pickle")
    metadata = {"tenant": "ü"}
    tasks.receipt.using(metadata=metadata, run_after=timedelta(seconds=1)).enqueue(49, name="later")
    tasks.receipt.using(metadata=metadata, expires=timedelta(hours=1)).enqueue(48, name="Zoë")
    shop.until(lambda: len(shop.written("receipt")) == 2, shop.consumer())
    assert sorted(entry["number"] for entry in shop.written("receipt")) == [48, 49]


def test_what_a_native_worker_cannot_do_is_refused(shop: Shop) -> None:
    shop.configure(NATIVE)
    for task, option in ((tasks.retried, "retry"), (tasks.limited, "timeout"), (tasks.kept, "result")):
        with pytest.raises(UnsupportedFeature, match=rf"{option} of .*Take \?workers=native out"):
            task.enqueue()
    with pytest.raises(UnsupportedFeature, match="context of"):
        tasks.traced.enqueue()
    with pytest.raises(UnsupportedFeature, match=r"at_least_once.*before it runs it.*Take \?workers=native out"):
        tasks.flaky.using(delivery="at_least_once").enqueue()
    with pytest.raises(InvalidArguments, match=r"argument 0 .* dict, and the workers"):
        tasks.counted.enqueue({1: "a"})
    with pytest.raises(InvalidArguments, match=r"argument 0 .* tuple, and the workers"):
        tasks.billed.enqueue((tasks.Line(1),))
    with pytest.raises(ConfigurationError, match="Start them yourself"):
        shop.worker()


def test_native_workers_need_the_encoding_that_they_read(shop: Shop) -> None:
    with pytest.raises(ConfigurationError, match=r"\?workers=native&serializer=pickle"):
        shop.configure("workers=native")
