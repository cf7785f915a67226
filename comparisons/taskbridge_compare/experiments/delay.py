"""A job that is due later."""

from __future__ import annotations

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.watch import wait_quietly


def _run(scene: Scene) -> Asked:
    station = scene.station
    task = station.workload.of_role("scheduled")
    victim = station.key("delay")
    station.enqueue(task, victim, delay=task.delay)
    wait_quietly(scene, victim, "start", 1, task.delay + scene.window)
    return {"victim": victim, "delay": task.delay, "window": task.delay + scene.window}


DELAY = Experiment(
    name="delay",
    title="delay",
    question="A job due in a few seconds, on an idle worker: how early or late does it start?",
    run=_run,
    judge=checkers.delay,
)
