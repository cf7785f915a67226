"""Jobs of three priorities that wait for the first worker to start."""

from __future__ import annotations

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.waiting import RANKS


def _run(scene: Scene) -> Asked:
    """The jobs were enqueued before this station's first worker started: `waiting.prepare`."""
    prepared = scene.station.prepared
    return {"order": [[prepared[f"priority.{number}"], rank] for number, (_, rank) in enumerate(RANKS)]}


PRIORITY = Experiment(
    name="priority",
    title="priority",
    question="Six jobs of three priorities wait when a worker of one slot starts: do they run in that order?",
    run=_run,
    judge=checkers.priority,
)
