"""A producer process: one JSON request a line on standard input, one JSON reply a line on standard output.

Only the standard library: a copy lies beside every application, whose module `app` offers
`enqueue(task, job, **options) -> id`, and may offer `close()`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    # Engines print: replies keep the real standard output for themselves.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    import app  # type: ignore[import-not-found]  # the application in the current folder, not one of ours

    replies.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        replies.write(json.dumps(handle(app, request)) + "\n")


def handle(app: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if request["verb"] == "enqueue":
            return {"id": str(app.enqueue(request["task"], request["job"], **request["options"]))}
        if request["verb"] == "enqueue_each":
            return {"refused": enqueue_each(app, request)}
        if request["verb"] == "measure":
            return {"seconds": [measure(app, request) for _ in range(request["rounds"])]}
        if request["verb"] == "schedule":
            return {"late": open_loop(app, request)}
        return {"error": "ValueError", "message": f"unknown verb {request['verb']!r}"}
    except BaseException as error:  # noqa: BLE001 - whatever the engine raises is the answer
        return {"error": type(error).__name__, "message": str(error)[:500]}


def enqueue_each(app: Any, request: dict[str, Any]) -> int:
    """Enqueue `jobs` one after the other, `pause` seconds apart, each with its ledger lines; how many were refused."""
    import probe  # type: ignore[import-not-found]  # beside us in the application's folder

    refused = 0
    for job in request["jobs"]:
        probe.record("enqueue", job["key"])
        try:
            native_id = app.enqueue(request["task"], job)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is the answer
            refused += 1
            words = {"error": type(error).__name__, "message": str(error)[:200]}
            probe.record("refused", job["key"], maybe_accepted=getattr(error, "maybe_accepted", None), **words)
        else:
            probe.record("enqueued", job["key"], id=str(native_id))
        time.sleep(request.get("pause", 0.0))
    return refused


def measure(app: Any, request: dict[str, Any]) -> float:
    """Seconds of wall clock for `count` enqueues, by the application's bulk call if asked for."""
    task, job, count = request["task"], request["job"], request["count"]
    if request.get("bulk"):
        jobs = [job] * count
        begin = time.perf_counter()
        app.enqueue_many(task, jobs)
        return time.perf_counter() - begin
    enqueue = app.enqueue
    begin = time.perf_counter()
    for _ in range(count):
        enqueue(task, job)
    return time.perf_counter() - begin


def open_loop(app: Any, request: dict[str, Any]) -> list[float]:
    """Enqueue at intended times, never waiting for a result; returns how late each send was, in seconds."""
    late = []
    begin = time.monotonic()
    for number, offset in enumerate(request["offsets"]):
        wait = begin + offset - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        intended = int((begin + offset) * 1e9)
        job = {**request["job"], "key": f"{request['job']['key']}-{number}", "intended_ns": intended}
        late.append(max(0.0, time.monotonic() - begin - offset))
        app.enqueue(request["task"], job)
    return late


if __name__ == "__main__":
    main()
