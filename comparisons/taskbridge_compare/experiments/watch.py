"""Watching a victim after a fault, and searching for it when it did not come back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from taskbridge_compare.ledger import NotSeen
from taskbridge_compare.place import START_SECONDS
from taskbridge_compare.residual import search

if TYPE_CHECKING:
    from taskbridge_compare.experiments.experiment import Scene

_SETTLE_SECONDS = 3.0
_SEND_AGAIN_SECONDS = 10.0


def watch(scene: Scene, victim: str, name: str) -> str:
    """Keep a worker running as a supervisor would, until the victim has settled or the window is over.

    A sentinel job proves that a worker serves the queue behind the victim. Returns the sentinel's key.
    """
    station = scene.station
    station.start_worker()
    sentinels = [_send(scene, name)]
    begin = sent = time.monotonic()
    while True:
        events = station.ledger.events()
        ended = [event.at for event in events if event.key == victim and event.kind == "end"]
        proven = [event.key for event in events if event.key in sentinels and event.kind == "end"]
        now = time.monotonic()
        if not proven and now > sent + _SEND_AGAIN_SECONDS:  # what loses a victim may lose a sentinel too
            sentinels.append(_send(scene, name))
            sent = now
        if proven and ended and now > ended[-1] + _SETTLE_SECONDS:
            break
        if now > begin + scene.window and (proven or now > begin + scene.window + START_SECONDS):
            break
        if station.worker is not None and not station.worker.running:
            station.ledger.write("worker_ended", victim, exit_code=station.worker.exit_code)
            station.start_worker()
        station.ledger.pause(0.1)
    station.ledger.write("watched", victim, seconds=round(time.monotonic() - begin, 3))
    if not ended:
        find(scene, victim)
    return (proven or sentinels)[0]


def _send(scene: Scene, name: str) -> str:
    key = scene.station.key(f"{name}.sentinel")
    scene.station.enqueue(scene.station.workload.of_role("short"), key)
    return key


def find(scene: Scene, key: str) -> None:
    """Write down where the broker holds this job.

    RabbitMQ shows only what no consumer holds, so its worker is ended first.
    """
    station = scene.station
    if station.driver.broker == "amqp":
        station.stop_worker()
    queues = scene.queues(station.url) if station.driver.broker == "amqp" else ()
    places = search(station.url, [key, *([station.ids[key]] if key in station.ids else [])], queues)
    station.ledger.write("residual", key, places=[place.plain() for place in places])


def wait_quietly(scene: Scene, key: str, kind: str, count: int, seconds: float) -> bool:
    """True once the ledger holds `count` events of this kind for the key; False when `seconds` have passed."""
    seen = 0

    def wanted(event_kind: str, event_key: str) -> bool:
        nonlocal seen
        seen += event_key == key and event_kind == kind
        return seen >= count

    try:
        scene.station.ledger.wait_for(lambda event: wanted(event.kind, event.key), seconds, what=f"{count} {kind}")
    except NotSeen:
        return False
    return True
