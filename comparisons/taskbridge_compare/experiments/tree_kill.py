"""A host or a pod dies: SIGKILL to the worker's whole tree, then a new worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.watch import watch

if TYPE_CHECKING:
    from taskbridge_compare.station import Station

BODY_SECONDS = 1.5
_START_SECONDS = 20.0


def begin_victim(station: Station, name: str, hold: float = BODY_SECONDS) -> str:
    """Enqueue the victim and wait until it runs; its key."""
    victim = station.key(name)
    station.enqueue(station.workload.of_role("short"), victim, hold=hold)
    station.wait_start(victim, seconds=_START_SECONDS)
    return victim


def _run(scene: Scene) -> Asked:
    station = scene.station
    victim = begin_victim(station, "tree_kill")
    station.kill_worker_tree(victim)
    sentinel = watch(scene, victim, "tree_kill")
    return {"victim": victim, "sentinel": sentinel, "window": scene.window, "bounds": dict(station.driver.bounds)}


TREE_KILL = Experiment(
    name="tree_kill",
    title="worker killed",
    question="After SIGKILL of all of a worker's processes in the middle of a job, is the job run again, and when?",
    run=_run,
    judge=checkers.crash,
)
