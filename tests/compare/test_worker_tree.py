"""What is done to all processes of a worker at once."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from taskbridge.process import Command, Process
from taskbridge_compare.worker_tree import freeze, thaw
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

MANY_THREADS = """
import hashlib, os, pathlib, sys, threading

os.fork()
counts = pathlib.Path(sys.argv[1], str(os.getpid()))
counts.touch()
block = bytes(200_000)

def count():
    with counts.open("ab", buffering=0) as file:
        while True:
            hashlib.sha256(block)
            file.write(b".")

# The signal comes to the first thread, which has to wait for the others here.
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
for _ in range(4):
    threading.Thread(target=count).start()
os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
"""


def test_nothing_of_a_frozen_worker_runs_on_until_it_is_thawed(tmp_path: Path) -> None:
    def counted() -> dict[str, int]:
        return {file.name: file.stat().st_size for file in tmp_path.iterdir()}

    worker = Process(Command(argv=(sys.executable, "-c", MANY_THREADS, str(tmp_path))))
    try:
        until(lambda: sorted(count > 0 for count in counted().values()) == [True, True], what="two that count")
        for _ in range(10):
            assert {str(pid) for pid in freeze(worker)} == counted().keys()
            before = counted()
            total = sum(before.values())
            time.sleep(0.05)
            assert counted() == before
            thaw(worker)
            until(lambda: sum(counted().values()) > total, what="one of them")  # noqa: B023 - it is called in this round only
    finally:
        worker.kill_tree()
