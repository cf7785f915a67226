"""The out-of-memory killer takes the process that executes a job; its master lives."""

from __future__ import annotations

import os
import signal

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.tree_kill import begin_victim
from taskbridge_compare.experiments.watch import watch


def _run(scene: Scene) -> Asked:
    station = scene.station
    assert station.worker is not None
    victim = begin_victim(station, "child_kill")
    executing = station.wait_start(victim, seconds=1).pid
    asked: Asked = {"victim": victim, "window": scene.window, "bounds": dict(station.driver.bounds)}
    if executing == station.worker.pid:
        station.wait_end(victim, seconds=20)
        why = "jobs run in the worker's only process; its death is the column 'worker killed'"
        return {**asked, "sentinel": victim, "inapplicable": why}
    station.ledger.write("fault", victim, fault="SIGKILL to the process that executes the job", pids=[executing])
    os.kill(executing, signal.SIGKILL)
    return {**asked, "sentinel": watch(scene, victim, "child_kill")}


CHILD_KILL = Experiment(
    name="child_kill",
    title="child killed",
    question="After SIGKILL of the process that executes a job, is the job executed again, and when?",
    run=_run,
    judge=checkers.crash,
)
