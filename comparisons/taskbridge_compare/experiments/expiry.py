"""A job that waits, with no worker running, until it is of no use any more."""

from __future__ import annotations

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.waiting import SENTINEL

EXPIRES_SECONDS = 1.0


def _run(scene: Scene) -> Asked:
    """The job was enqueued, with others, before this station's first worker started: `waiting.prepare`."""
    prepared = scene.station.prepared
    return {"victim": prepared["expiry"], "sentinel": prepared[SENTINEL], "expires": EXPIRES_SECONDS}


EXPIRY = Experiment(
    name="expiry",
    title="expiry",
    question=f"A job of use for {EXPIRES_SECONDS:g} s, enqueued while no worker runs: does it start after that?",
    run=_run,
    judge=checkers.expiry,
)
