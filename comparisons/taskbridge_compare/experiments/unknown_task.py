"""A rolling deploy: a producer of the next release enqueues a task that this worker does not know."""

from __future__ import annotations

import time

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.watch import find, wait_quietly
from taskbridge_compare.ledger import NotSeen

_TASK = "from_next_release"
_SETTLE_SECONDS = 1.0


def _run(scene: Scene) -> Asked:
    station = scene.station
    victim = station.key("unknown_task")
    station.enqueue(_TASK, victim)
    begin = time.monotonic()
    asked: Asked = {"victim": victim, "sentinel": "", "bounds": dict(station.driver.bounds)}
    try:
        asked["sentinel"] = station.sentinel("unknown_task", seconds=scene.window)
    except NotSeen:
        station.ledger.write("watched", victim)
        station.stop_worker()
    wait_quietly(scene, victim, "start", 1, _SETTLE_SECONDS)
    asked["window"] = round(time.monotonic() - begin, 1)
    find(scene, victim)
    station.start_worker()
    return asked


UNKNOWN_TASK = Experiment(
    name="unknown_task",
    title="unknown task",
    question="A job of a task that the worker does not know, as in a rolling deploy: where is it afterwards?",
    run=_run,
    judge=checkers.unknown_task,
)
