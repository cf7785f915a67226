"""A host or a pod dies: SIGKILL to the worker's whole tree, then a new worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.watch import watch
from taskbridge_compare.ledger import NotSeen

if TYPE_CHECKING:
    from taskbridge_compare.station import Station

BODY_SECONDS = 1.5
_START_SECONDS = 15.0


def begin_victim(station: Station, name: str, hold: float = BODY_SECONDS) -> str:
    """Enqueue the victim and wait until it runs; its key."""
    for patience in (_START_SECONDS, _START_SECONDS):
        victim = station.key(name)
        station.enqueue(station.workload.of_role("short"), victim, hold=hold)
        try:
            station.wait_start(victim, seconds=patience)
        except NotSeen:  # lost with no fault at all: the column 'no fault' counts that
            continue
        return victim
    raise NotSeen(f"no victim of {name} was ever started")


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
