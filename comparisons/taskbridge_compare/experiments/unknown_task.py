"""A rolling deploy: a producer of the next release enqueues a task that this worker does not know."""

from __future__ import annotations

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.watch import find, wait_quietly
from taskbridge_compare.ledger import NotSeen

_TASK = "from_next_release"


def _run(scene: Scene) -> Asked:
    station = scene.station
    victim = station.key("unknown_task")
    station.enqueue(_TASK, victim)
    asked: Asked = {"victim": victim, "sentinel": "", "window": scene.window, "bounds": dict(station.driver.bounds)}
    try:
        asked["sentinel"] = station.sentinel("unknown_task", seconds=scene.window)
    except NotSeen:
        station.ledger.write("watched", victim)
        station.stop_worker()
    wait_quietly(scene, victim, "start", 1, 1.0)
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
