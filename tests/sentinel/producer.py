"""A producer that lives through a failover: `python -m tests.sentinel.producer`.

It first says how to start the worker of each backend, then enqueues once on all of them for each line that it reads,
again and again until it is taken, and says which result came of it.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from typing import Any

from taskbridge.backend import WorkerOptions
from taskbridge.errors import EnqueueError, StoreUnavailable, TaskBridgeError
from taskbridge.router import router
from tests.sentinel.tasks import note

PATIENCE_SECONDS = 60


def main() -> None:
    aliases = sorted(alias for alias in router.settings.backends if alias != "default")
    say({alias: command(alias) for alias in aliases})
    for line in sys.stdin:
        jobs = {alias: enqueued(alias, f"{alias} {line.strip()}") for alias in aliases}
        say({alias: outcome(job) for alias, job in jobs.items()})


def command(alias: str) -> Any:
    options = WorkerOptions(alias=alias, imports=("tests.sentinel.tasks",))
    (found,) = router.backend(alias).worker_commands(options)
    return {"argv": found.argv, "environment": dict(found.environment)}


def enqueued(alias: str, text: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return note.using(backend=alias).enqueue(text)
        except (EnqueueError, StoreUnavailable) as error:
            print(f"{alias}: {error}", file=sys.stderr)
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def outcome(job: Any) -> str:
    try:
        return str(job.wait(timeout=timedelta(seconds=PATIENCE_SECONDS)))
    except TaskBridgeError as error:
        return f"{type(error).__name__}: {error}"


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
