"""One part of a test, in a process with a Django project of its own: `python -m tests.django_rq.part PART URL`."""

from __future__ import annotations

import importlib
import json
import sys
from datetime import timedelta
from typing import Any

import taskbridge
from taskbridge.backend import WorkerOptions
from taskbridge.errors import TaskBridgeError
from taskbridge.router import router


def commands() -> Any:
    """The worker's command, for the test to start."""
    (command,) = router.backend().worker_commands(WorkerOptions(imports=("tests.django_rq.tasks",)))
    return {"argv": command.argv, "environment": dict(command.environment), "label": command.label}


def result() -> Any:
    from tests.django_rq import tasks

    return tasks.flaky.enqueue().wait(timeout=timedelta(seconds=40))


def enqueue() -> Any:
    from tests.django_rq import tasks

    return [tasks.receipt.enqueue(44, name="Zoë").id, tasks.report.enqueue(7).id]


def nowhere() -> Any:
    from tests.django_rq import tasks

    return tasks.nowhere.enqueue().id


def limits() -> Any:
    """How long RQ lets a job of each kind run, in our workers, in seconds: none, of one call, native."""
    import django_rq

    from taskbridge.registry import registry
    from taskbridge_django_tasks.rq import QueueBackend
    from tests.django_rq import tasks

    backend = router.backend()
    assert isinstance(backend, QueueBackend)
    ids = [
        tasks.nowhere.enqueue().id,
        tasks.nowhere.using(timeout=timedelta(seconds=2.5)).enqueue().id,
        importlib.import_module("shop").receipt.enqueue(42, name="Zoë").id,
    ]
    backend.serve(registry, None)  # type: ignore[arg-type]  # nothing is run
    queue = backend.queue("default")
    return [backend.job_class.fetch(each, django_rq.get_connection(), queue.serializer).timeout for each in ids]


def redriven() -> Any:
    from taskbridge.redrive import redrive
    from taskbridge.store import Selection

    store = router.store()
    assert store is not None
    found = list(store.letters(Selection(reason="undecodable")))
    for letter in found:
        redrive(letter.id, store)
    return len(found)


def lasting() -> Any:
    from tests.django_rq import tasks

    return tasks.lasting.enqueue().id


def signals() -> Any:
    import django

    django.setup()
    from django_tasks.signals import task_enqueued

    from tests.django_rq import tasks

    seen: list[Any] = []

    def receive(*, task_result: Any, **_: Any) -> None:
        seen.append([task_result.task.module_path, task_result.kwargs, task_result.status])

    task_enqueued.connect(receive)
    tasks.flaky.enqueue_many([(), ()])
    return seen


def connections() -> Any:
    """How many connections a hundred jobs take."""
    import django_rq

    from tests.django_rq import tasks

    tasks.nowhere.enqueue()
    redis = django_rq.get_connection()
    before = redis.info("stats")["total_connections_received"]
    for _ in range(100):
        tasks.nowhere.enqueue()
    return redis.info("stats")["total_connections_received"] - before


def main() -> None:
    part, url = sys.argv[1:]
    taskbridge.configure(url, imports=["tests.django_rq.tasks"])
    try:
        print(json.dumps(globals()[part]()))
    except TaskBridgeError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
