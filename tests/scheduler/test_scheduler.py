"""A duty in one process: tried again when it fails, given back, and never a hindrance to a stop.

What several processes make of one duty is in `test_ticks.py`.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from taskbridge.scheduler import Scheduler
from taskbridge.scheduler import scheduler as scheduler_module
from taskbridge.store import open_store
from taskbridge.store.memory import MemoryStore

if TYPE_CHECKING:
    import pytest

PATIENCE = timedelta(seconds=45)


def test_who_was_away_for_too_long_steps_back_when_another_has_the_duty() -> None:
    beaten = threading.Event()

    class Noting:
        name = "noting"

        def beat(self) -> timedelta:
            beaten.set()
            return timedelta(seconds=0.01)

    lost, said = threading.Event(), []

    def tell(words: str) -> None:
        said.append(words)
        if "lost" in words:
            lost.set()

    store = MemoryStore()
    with Scheduler(store, [Noting()], tell=tell):
        assert beaten.wait(PATIENCE.total_seconds())
        # As if the lease had run out while this process was paused.
        store.release([store._leases["duty:noting"]])
        assert store.acquire("duty:noting", holder="another", span=PATIENCE) is not None
        assert lost.wait(PATIENCE.total_seconds())
        beaten.clear()
    assert not beaten.is_set()
    assert said == ["took over the duty noting", "lost the duty noting to another process"]


def test_a_duty_that_fails_is_tried_again_and_disturbs_no_other() -> None:
    class Failing:
        name = "failing"
        beats = 0
        recovered = threading.Event()

        def beat(self) -> timedelta:
            self.beats += 1
            if self.beats < 3:
                raise RuntimeError("not yet")
            self.recovered.set()
            return timedelta(hours=1)

    class Healthy:
        name = "healthy"
        beaten = threading.Event()

        def beat(self) -> timedelta:
            self.beaten.set()
            return timedelta(hours=1)

    failing, healthy = Failing(), Healthy()
    said: list[str] = []
    store = open_store("memory://")
    scheduler = Scheduler(store, [failing, healthy], tell=said.append)
    with scheduler:
        assert healthy.beaten.wait(PATIENCE.total_seconds())
        assert failing.recovered.wait(PATIENCE.total_seconds())
    assert failing.beats == 3
    assert said.count("took over the duty failing") == 3
    assert store.acquire("duty:failing", holder="another", span=PATIENCE) is not None


def test_a_beat_that_hangs_does_not_hold_up_a_stop_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "PATIENCE", timedelta(seconds=0.2))
    release, begun = threading.Event(), threading.Event()

    class Hanging:
        name = "hanging"

        def beat(self) -> timedelta:
            begun.set()
            release.wait(PATIENCE.total_seconds())
            return timedelta(0)

    scheduler = Scheduler(open_store("memory://"), [Hanging()])
    scheduler.start()
    assert begun.wait(PATIENCE.total_seconds())
    assert not scheduler.stop()
    release.set()
    assert scheduler.stop()
