"""A deploy: SIGTERM, the stop signal of systemd, Docker and Kubernetes, in the middle of a job."""

from __future__ import annotations

import signal

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.tree_kill import begin_victim
from taskbridge_compare.experiments.watch import watch
from taskbridge_compare.worker_tree import exit_code

_EXIT_SECONDS = 15.0


def _run(scene: Scene) -> Asked:
    station = scene.station
    assert station.worker is not None
    victim = begin_victim(station, "sigterm")
    station.ledger.write("fault", victim, fault="SIGTERM to the worker's main process", pids=[station.worker.pid])
    station.worker.send(signal.SIGTERM)
    code = exit_code(station.worker, station.ledger, _EXIT_SECONDS)
    station.ledger.write("worker_ended", victim, exit_code=code)
    station.stop_worker()  # a supervisor that has waited long enough
    station.go_direct()
    sentinel = watch(scene, victim, "sigterm")
    return {
        "victim": victim,
        "sentinel": sentinel,
        "window": scene.window,
        "bounds": dict(station.driver.bounds),
        "stopped": True,
    }


SIGTERM = Experiment(
    name="sigterm",
    title="SIGTERM",
    question="After SIGTERM in the middle of a job, does the job finish, or is it executed again by the next worker?",
    run=_run,
    judge=checkers.crash,
)
