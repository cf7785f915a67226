"""`python -m tests.django.planted`: the worker with quick looks, and with the bug or failure that TEST_BUG names."""

from __future__ import annotations

import os
import signal
from typing import Any

from taskbridge.process.liveness import NOWHERE
from taskbridge.worker import boot
from taskbridge_django_tasks import app


def plant(bug: str) -> None:  # noqa: C901 - one case a bug
    """Django is set up by now."""
    from django.db import OperationalError

    from taskbridge_django_tasks import recovery, rows, watch, worker
    from taskbridge_django_tasks.lease import LeaseTable
    from taskbridge_django_tasks.recovery import Recovery
    from taskbridge_django_tasks.worker import Worker

    watch.LOOK_SECONDS = 0.25
    setattr(recovery, "ECHO_SECONDS", 1.0)  # noqa: B010 - it is Final
    renew, run_task = LeaseTable.renew, Worker.run_task

    def renew_once(self: LeaseTable, worker_id: str, *, stopping: bool) -> bool:
        return worker_id in self.read() or renew(self, worker_id, stopping=stopping)

    def run_after_sigterm(self: Worker, db_task_result: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        run_task(self, db_task_result)

    def forget_claim(self: Worker, db_task_result: Any) -> None:
        Worker.run_task = run_task  # type: ignore[method-assign]  # only the first claim
        raise OperationalError(f"the answer to the claim of {db_task_result.pk} is lost")

    match bug:
        case "no recovery":
            Recovery._recover = lambda self: None  # type: ignore[method-assign]  # the bug
        case "on another host":
            setattr(worker, "own_mark", lambda: NOWHERE)  # noqa: B010 - no bug: nobody knows this worker's fate
        case "looks as it starts, and never again":
            Recovery._run = lambda self: None  # type: ignore[method-assign]  # a worker that dies of its first job
        case "no fence":
            rows._claim = lambda row: {"id": row.pk}  # the bug
        case "forgotten renewal":
            LeaseTable.renew = renew_once  # type: ignore[method-assign]  # the bug
        case "stopped between claim and run":
            Worker.run_task = run_after_sigterm  # type: ignore[method-assign]  # the failure
        case "lost answer to a claim":
            Worker.run_task = forget_claim  # type: ignore[method-assign]  # the failure
        case _:
            assert not bug


if __name__ == "__main__":
    app.keep_connections()
    booted = boot()
    plant(os.environ.get("TEST_BUG", ""))
    app.main(booted)
