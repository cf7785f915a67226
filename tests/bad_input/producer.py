"""A Django project that enqueues one job for each line it reads: `python -m tests.bad_input.producer`."""

from __future__ import annotations

import json
import sys
import time

from taskbridge import task
from taskbridge.errors import EnqueueError
from taskbridge.router import router


@task
def note(key: str) -> None: ...


def main() -> None:
    router.bind(note)  # which sets Django up
    for line in sys.stdin:
        begun = time.monotonic()
        error: EnqueueError | None = None
        try:
            note.enqueue(line.strip())
        except EnqueueError as refusal:
            error = refusal
        said = {"error": str(error), "maybe_accepted": error.maybe_accepted} if error is not None else {}
        print(json.dumps({**said, "seconds": time.monotonic() - begun}), flush=True)


if __name__ == "__main__":
    from tests.bad_input.producer import main as imported  # a task of __main__ could not be found by a worker

    imported()
