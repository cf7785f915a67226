"""django-tasks-db's own worker, with jobs of TaskBridge among those it runs.

A row whose task is TaskBridge's is run by the runner. Every other row runs as on a stock worker. The outcome of both is
one UPDATE of the row, guarded by the claim.
"""

from __future__ import annotations

import logging
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, assert_never

from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands import db_worker
from django_tasks_db.models import DBTaskResult

from taskbridge.errors import CrashedOut, JobCancelled, JobExpired, StoreUnavailable, UndecodableMessage
from taskbridge.message import HEADER, Again, Cancelled, Dead, Done, Expired, Skipped
from taskbridge.process.liveness import own_mark
from taskbridge.worker.connections import close_stale_connections
from taskbridge_django_tasks.recovery import Recovery
from taskbridge_django_tasks.rows import PAUSES, LostClaim, claimed, give_back
from taskbridge_django_tasks.settlement import Settlement
from taskbridge_django_tasks.signals import announce, task_started
from taskbridge_django_tasks.unreadable import fail_unreadable
from taskbridge_django_tasks.watch import PREFIX
from taskbridge_django_tasks.wire import from_native, returns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from django.db.models import QuerySet

    from taskbridge.backend import Run
    from taskbridge.message import Outcome

logger = logging.getLogger("taskbridge.django")

SWEEP_SECONDS: Final = 300.0
"""How often, after a job, expired results are deleted."""


class Worker(db_worker.Worker):
    """Runs both kinds of jobs, and outlives a database that goes away."""

    def __init__(
        self,
        *,
        tasks: Mapping[str, Any],
        run: Run,
        sweep: Callable[[], object],
        crash_budget: int,
        worker_id: str,
        **options: Any,
    ) -> None:
        # Never the same twice: a worker that was started again under its old name would renew its predecessor's lease.
        name = f"{PREFIX}{own_mark()}-{worker_id}-{get_random_string(8)}"
        super().__init__(worker_id=name, **options)
        self._tasks = tasks
        self._attempt_of = run
        self._crash_budget = crash_budget
        self._settle = Settlement(run, keep_trying=lambda: self.running)
        self._recovery = Recovery(self.worker_id)
        self._is_in_doubt = False
        """A row may be in our hands that we know nothing of."""
        self._is_forced = False
        """A second signal has come: what runs is given back."""
        self._sweep = sweep
        self._swept = time.monotonic()

    def run(self) -> None:
        """Look for rows, and work them off, until asked to stop.

        The look is a plain read. The stock loop, which takes the lock with each look, is run only when there is
        something to claim: on SQLite, idle workers would keep those who write out of the file.
        """
        has_end, self.batch = self.batch, True
        with self._recovery:
            failures = 0
            while self.running:
                try:
                    self._work_off()
                    failures = 0
                except (OperationalError, InterfaceError) as error:
                    logger.warning("The database did not answer, which is tried again: %s", str(error).strip())
                    # The answer to a claim may be what was lost.
                    self._is_in_doubt = True
                    failures += 1
                    time.sleep(PAUSES[min(failures, len(PAUSES)) - 1])
                    continue
                if has_end or (self.max_tasks is not None and self._run_tasks >= self.max_tasks):
                    break
                if self.running:
                    time.sleep(self.interval)
            if not self._is_in_doubt:
                self._recovery.leave()

    def _work_off(self) -> None:
        close_stale_connections()
        self._recovery.begin()
        if self._is_in_doubt:
            self._recovery.give_back_own()
            self._is_in_doubt = False
        if self._due().exists():
            if not self._recovery.is_fresh:
                self._recovery.renew()
            try:
                super().run()
            except (ValueError, RecursionError):
                # All that a job raises is settled: this is a row that Python cannot read, before the claim.
                if not fail_unreadable(self._due(), self._attempt_of):
                    raise
            self.startup_delay = False

    def _due(self) -> QuerySet[DBTaskResult]:
        rows = DBTaskResult.objects.ready().filter(backend_name=self.backend_name)
        if not self.process_all_queues:
            rows = rows.filter(queue_name__in=self.queue_names)
        return rows.exclude(queue_name__in=self.excluded_queue_names)

    def shutdown(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the stock signature
        """Leave after the current job, or at the end of a poll: the stock one may leave between a claim and its run."""
        if not self.running:
            # The stock one would take its handler away first, by which the runner tells this exit from a task's own.
            self._is_forced = True
            sys.exit(1)
        self.running = False
        self._recovery.stopping()

    def run_task(self, db_task_result: Any) -> None:
        """Run a claimed row."""
        done_before = self._run_tasks
        self.running_task = True
        try:
            self._run_claimed(db_task_result)
        except LostClaim:
            logger.warning("The job %s is no longer this worker's: its outcome is not written.", db_task_result.pk)
        except Exception:
            logger.exception("The outcome of the job %s could not be written.", db_task_result.pk)
            self._is_in_doubt = True
        finally:
            self.running_task = False
            self._run_tasks = done_before + 1
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            try:
                self._sweep()
            except StoreUnavailable:
                logger.exception("Expired results could not be deleted, which is tried again.")

    def _run_claimed(self, row: Any) -> None:
        if not self._recovery.is_fresh:
            self._recovery.renew()
            if not claimed(row).exists():
                raise LostClaim
        known = self._tasks.get(row.task_path)
        # What Django itself has enqueued of a task under Django's decorator runs as Django runs it.
        is_ours = (known is not None and not known.has_signals) or (
            isinstance(row.args_kwargs, dict) and HEADER in row.args_kwargs
        )
        try:
            if is_ours:
                self._run_ours(row)
            else:
                self._run_native(row)
        except BaseException:
            if self._is_forced:
                give_back(row, crashed=False)
            raise

    def _run_native(self, row: Any) -> None:
        try:
            crashes = returns_of(row.task_result.db_result.args_kwargs).crashed
        except (ImportError, SuspiciousOperation) as error:
            self._settle.bury(row, error)
            return
        except (KeyError, TypeError, AttributeError) as error:
            self._settle.park(row, error)
            return
        if crashes > self._crash_budget:
            told = f"not run again: {crashes} workers died of it, and crash_budget is {self._crash_budget}"
            self._settle.fail(row, CrashedOut(told))
            return
        row.set_successful = partial(self._settle.succeed_natively, row)
        row.set_failed = partial(self._settle.fail_natively, row, is_interrupted=lambda: self._is_forced)
        super().run_task(row)

    def _run_ours(self, row: Any) -> None:
        try:
            message = from_native(row)
        except UndecodableMessage as error:
            self._settle.park(row, error)
            return
        returns = returns_of(row.args_kwargs)
        attempt = len(row.worker_ids) - sum(returns)
        try:
            announce(task_started, row)
            outcome: Outcome = self._attempt_of(message, attempt=attempt, crashes=returns.crashed)
        except BaseException as error:
            if self._is_forced:
                raise
            # As the stock worker does: else the row would stay RUNNING for ever.
            self._settle.fail(row, error)
            return
        match outcome:
            case Done(value):
                self._settle.succeed(row, value if message.headers is None else None)
            case Again(delay):
                self._settle.again(row, delay)
            case Dead(last):
                self._settle.fail(row, last)
            case Skipped():
                self._settle.succeed(row, None)
            case Cancelled():
                self._settle.fail(row, JobCancelled("not started, or not gone on with: the job was cancelled"))
            case Expired(expires):
                self._settle.fail(row, JobExpired(f"not started: the job expired at {expires.isoformat()}"))
            case _:
                assert_never(outcome)
