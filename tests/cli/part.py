"""Tasks of a small application that fails until it is mended, and what an operator's processes do."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import taskbridge
from taskbridge.errors import RedriveRefused
from taskbridge.redrive import redrive
from taskbridge.router import router
from taskbridge.worker import key_end

if TYPE_CHECKING:
    from datetime import timedelta
    from multiprocessing.synchronize import Barrier

    from taskbridge.store import Key, Store
    from taskbridge.worker.key_end import End


@taskbridge.task(name="cli.charge")
def charge(path: str, secret: str) -> None:
    """Fail until the file exists, then write a line to it."""
    if not Path(path).exists():
        raise FileNotFoundError(f"\x1b[31m{path}\x07")
    with Path(path).open("a") as file:
        file.write(f"{len(secret)}\n")


def redrive_the_same(url: str, barrier: Barrier, number: int) -> None:
    """Redrive one letter together with others; leave a file if it was this process."""
    url, letter_id, folder = url.split(" ")
    taskbridge.configure(url)
    store = router.store()
    assert store is not None
    barrier.wait(timeout=50)
    try:
        redrive(letter_id, store)
    except RedriveRefused:
        return
    Path(folder, f"{number}.redrove").touch()


def redrive_and_stall(url: str, letter_id: str) -> None:
    """Begin to redrive, say so when the broker is about to be given the job, and never go on."""
    taskbridge.configure(url)
    store = router.store()
    assert store is not None

    def stall(_messages: object) -> None:
        os.write(1, b"stalled\n")
        time.sleep(60)

    router.backend().enqueue = stall  # type: ignore[method-assign]  # the moment in which the process is killed
    redrive(letter_id, store)


def _begin(path: str) -> None:
    with Path(path).open("a") as file:
        file.write("start\n")
    if Path(path).read_text().count("start") == 1:
        time.sleep(60)


@taskbridge.task(name="cli.once", delivery="at_most_once", result=True)
def once(path: str) -> None:
    """Note the start; the first then never ends."""
    _begin(path)


@taskbridge.task(name="cli.at-least-once", delivery="at_least_once", result=True)
def at_least_once(path: str) -> None:
    """The same."""
    _begin(path)


@taskbridge.task(name="cli.effectively-once", delivery="effectively_once", key="{path}", result=True)
def dies_before_it_is_acknowledged(path: str) -> str:
    """Kill the worker once it is recorded that the key is done, the first time."""
    with Path(path).open("a") as file:
        file.write("start\n")
    completed = key_end._completed

    def complete_and_die(store: Store, key: Key, end: End, kept: timedelta) -> bool:
        completed(store, key, end, kept)
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    key_end._completed = complete_and_die
    return "done"
