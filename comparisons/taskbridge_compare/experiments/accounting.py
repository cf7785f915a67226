"""No fault at all: a mix of the workload's tasks, each of which should complete once."""

from __future__ import annotations

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.watch import wait_quietly
from taskbridge_compare.station import Refused

_JOBS = 40


def _run(scene: Scene) -> Asked:
    station = scene.station
    keys = []
    for number, task in enumerate(station.workload.mix(_JOBS)):
        key = station.key(f"accounting.{number}")
        keys.append(key)
        try:
            station.enqueue(task, key)
        except Refused:
            continue
    sentinel = station.sentinel("accounting", seconds=scene.window + 20)
    for key in keys:
        wait_quietly(scene, key, "end", 1, 0.5)
    return {"keys": keys, "sentinel": sentinel}


ACCOUNTING = Experiment(
    name="accounting",
    title="no fault",
    question=f"Of {_JOBS} jobs of the workload's mix, with no fault at all, does each complete exactly once?",
    run=_run,
    judge=checkers.accounting,
)
