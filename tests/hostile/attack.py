"""`python -m tests.hostile.attack NAME COUNT`: damaged messages, with a good job after every tenth."""

from __future__ import annotations

import os
import sys

from taskbridge.identity import new_id
from taskbridge.registry import wire_name
from taskbridge.router import router
from taskbridge.worker import import_tasks
from tests.hostile.decoders import DECODERS
from tests.hostile.mutations import damaged
from tests.hostile.puts import PUTS, broker_url


def main(name: str, count: int) -> None:
    """The good jobs are called `neighbour-0` and so on."""
    import_tasks(["tests.hostile.application"])
    from tests.hostile.application import note

    engine, put_for = PUTS[name]
    note.enqueue("first")  # the queue exists from now on, whoever declares it
    put = put_for(os.environ.get("TEST_REDIS") or broker_url(os.environ["TASKBRIDGE_URL"]))
    task = wire_name(note, router.backend())
    originals = [
        data.replace(b"shop.receipt", task.encode()).replace(b'"mail', b'"default')
        for data in DECODERS[engine].originals
    ]
    for number, data in enumerate(damaged(originals, count, seed=count)):
        put(data.replace(b"0199c0de-0000-7000-8000-000000000001", new_id().encode()))
        if number % 10 == 9:
            note.enqueue(f"neighbour-{number // 10}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
