"""Leased duties: one holder among many processes, and another when it dies, stops or fails."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.process import Command, Process
from taskbridge.scheduler import Scheduler
from taskbridge.scheduler import scheduler as scheduler_module
from taskbridge.store import open_store
from taskbridge.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=45)


class Beats:
    """The lines of the duty, of whichever process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[tuple[int, float]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]

    def wait(self, condition: Callable[[list[tuple[int, float]]], bool]) -> list[tuple[int, float]]:
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while not condition(beats := self.read()):
            assert time.monotonic() < deadline, beats[-3:]
            time.sleep(0.02)
        return beats


def process(url: str, beats: Beats, number: int) -> Process:
    argv = (sys.executable, "-m", "tests.scheduler.part", url, str(beats.path))
    return Process(Command(argv=argv, directory=ROOT), log=beats.path.with_name(f"log-{number}"))


def test_one_of_three_does_the_duty_and_who_dies_or_leaves_is_replaced(redis_url: str, tmp_path: Path) -> None:
    beats = Beats(tmp_path / "beats")
    with ExitStack() as stack:
        processes = {}
        for number in range(3):
            each = stack.enter_context(process(redis_url, beats, number))
            each.wait_for_line("^up$", within=PATIENCE)
            processes[each.pid] = each
        beats.wait(lambda seen: len(seen) > 40)

        killed = beats.read()[-1][0]
        os.kill(killed, signal.SIGKILL)
        beats.wait(lambda seen: seen[-1][0] != killed)

        # Who stops gives the duty back.
        stopped = beats.read()[-1][0]
        processes[stopped].send(signal.SIGTERM)
        assert processes[stopped].wait(within=PATIENCE) == 0
        beats.wait(lambda seen: seen[-1][0] not in (killed, stopped))
    # Without leases two or three would beat in turns. On a busy machine a holder may have been too slow for its own.
    pids = [pid for pid, _ in beats.read()]
    assert sum(one != other for one, other in pairwise(pids)) < 8


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
