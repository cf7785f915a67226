"""The network fails for a moment: every connection of the worker to its broker is reset in the middle of a job."""

from __future__ import annotations

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.tree_kill import begin_victim
from taskbridge_compare.experiments.watch import watch


def _run(scene: Scene) -> Asked:
    station = scene.station
    asked: Asked = {"window": scene.window, "bounds": dict(station.driver.bounds)}
    if scene.proxy is None:
        why = "the broker is a file: there is no connection to cut"
        return {**asked, "victim": "", "sentinel": "", "inapplicable": why}
    victim = begin_victim(station, "connection_cut")
    station.ledger.write("fault", victim, fault="every connection of the worker to its broker reset")
    station.ledger.write("struck", victim, connections=scene.proxy.cut())
    sentinel = watch(scene, victim, "connection_cut")
    return {**asked, "victim": victim, "sentinel": sentinel}


CONNECTION_CUT = Experiment(
    name="connection_cut",
    title="connection cut",
    question="After all connections to the broker are reset in the middle of a job, does it complete exactly once?",
    run=_run,
    judge=checkers.crash,
)
