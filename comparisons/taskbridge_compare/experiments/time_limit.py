"""A job that runs longer than its time limit."""

from __future__ import annotations

from taskbridge_compare import checkers
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.ledger import NotSeen

_BEYOND_SECONDS = 4.0


def _run(scene: Scene) -> Asked:
    station = scene.station
    task = station.workload.of_role("long")
    limit = task.time_limit or 2.0
    victim = station.key("time_limit")
    station.enqueue(task, victim, hold=limit + _BEYOND_SECONDS)
    asked: Asked = {"victim": victim, "limit": limit, "body": limit + _BEYOND_SECONDS, "sentinel": ""}
    if task.time_limit and station.driver.no_time_limit:
        asked["no_option"] = station.driver.no_time_limit
    station.wait_start(victim, seconds=20)
    try:
        asked["sentinel"] = station.sentinel("time_limit", seconds=limit + _BEYOND_SECONDS + scene.window)
    except NotSeen:
        station.ledger.write("watched", victim)
    return asked


TIME_LIMIT = Experiment(
    name="time_limit",
    title="time limit",
    question="A job that runs 4 s beyond its time limit (Python bytecode, short sleeps): is it stopped, and when?",
    run=_run,
    judge=checkers.time_limit,
)
