"""A task that fails each time, with the workload's retries."""

from __future__ import annotations

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.watch import wait_quietly

_SETTLE_SECONDS = 2.0


def _run(scene: Scene) -> Asked:
    station = scene.station
    task = station.workload.of_role("failing")
    victim = station.key("retry_curve")
    station.enqueue(task, victim)
    if wait_quietly(scene, victim, "raise", task.retries + 1, scene.window):
        wait_quietly(scene, victim, "raise", task.retries + 2, task.retry_delay + _SETTLE_SECONDS)
    return {"victim": victim, "retries": task.retries, "delay": task.retry_delay, "window": scene.window}


RETRY_CURVE = Experiment(
    name="retry_curve",
    title="retry curve",
    question="A task that always fails and asks for fixed retries: how many attempts, and how far apart?",
    run=_run,
    judge=checkers.retry_curve,
)
