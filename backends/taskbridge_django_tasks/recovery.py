"""What every worker does beside its jobs: it renews its lease, and gives back the jobs of workers that are dead."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError, InterfaceError, connections, router
from django_tasks_db.compat import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from taskbridge.store.forks import unforked_on
from taskbridge_django_tasks import watch
from taskbridge_django_tasks.lease import LeaseTable
from taskbridge_django_tasks.rows import give_back
from taskbridge_django_tasks.store import dialect_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from taskbridge_django_tasks.watch import Lease

logger = logging.getLogger("taskbridge.django")

STRAY_SECONDS: Final = 300.0
"""How often rows are looked for whose worker has no lease at all."""
ECHO_SECONDS: Final = 10.0
"""How long a server may still carry out what a dead worker has asked of it."""


class Recovery:
    """A thread, on a connection of its own, for as long as the block runs."""

    def __init__(self, worker_id: str) -> None:
        self._worker_id = worker_id
        self._using = str(router.db_for_write(DBTaskResult))
        self._leases = LeaseTable(self._using)
        self._next_search = 0.0
        self._renewed = 0.0
        self._is_stopping = False
        self._woken = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="taskbridge-lease", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(watch.LOOK_SECONDS)

    def begin(self) -> None:
        """Have a lease. Again and again, since the database may be away at first."""
        if not self._thread.is_alive():
            self._leases.create()
            self.renew()
            # Here, so that a worker that dies of its first job has looked at its predecessors.
            self._recover()
            self._thread.start()

    def leave(self) -> None:
        """Give up the lease, at a moment when this worker holds nothing."""
        self.__exit__()
        with suppress(DatabaseError, InterfaceError):
            self._leases.end(self._worker_id)

    def stopping(self) -> None:
        """Let the others know that this worker was asked to leave. Safe in a signal handler."""
        self._is_stopping = True
        self._woken.set()

    @property
    def is_fresh(self) -> bool:
        """True if nobody can think that this worker is dead."""
        return time.monotonic() - self._renewed < watch.LOOK_SECONDS * (watch.LOOKS - 1)

    def renew(self) -> None:
        """Renew the lease now."""
        begun = time.monotonic()
        if not self._leases.renew(self._worker_id, stopping=self._is_stopping) and self._renewed:
            logger.warning(
                "This worker was not heard of for %.0f s and counted as dead: its job may run again elsewhere.",
                begun - self._renewed,
            )
        self._renewed = begun

    def give_back_own(self) -> None:
        """Give back what this worker has claimed without knowing it, at a moment when it runs nothing."""
        for row in _running({self._worker_id}):
            if give_back(row, crashed=False):
                logger.warning("The job %s is given back: its claim or its outcome was cut off.", row.pk)

    def _run(self) -> None:
        try:
            while not self._is_over:
                self._woken.wait(watch.LOOK_SECONDS)
                self._woken.clear()
                self._turn()
        finally:
            connections[self._using].close()

    def _turn(self) -> None:
        try:
            with unforked_on(dialect_of(self._using)):
                self.renew()
                self._recover()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The lease of this worker was not renewed, which is tried again: %s", str(error).strip())
            connections[self._using].close()
        except Exception:
            # Without this thread the worker's own jobs would be taken from it.
            logger.exception("The lease of this worker was not renewed, which is tried again.")

    def _recover(self) -> None:
        if time.monotonic() >= self._next_search:
            self._next_search = time.monotonic() + STRAY_SECONDS
            for worker in {row.worker_ids[-1] for row in _running()} - self._leases.read().keys():
                self._leases.begin(worker)
        leases = self._leases.read()
        dead = {
            worker for worker, lease in leases.items() if worker != self._worker_id and self._is_dead(worker, lease)
        }
        if dead:
            self._bury(dead, leases)

    def _is_dead(self, worker: str, lease: Lease) -> bool:
        if watch.is_gone(worker) or lease.looks >= watch.LOOKS:
            return True
        looks = watch.looks_worth(lease)
        return bool(looks) and self._leases.look(worker, lease, looks) and lease.looks + looks >= watch.LOOKS

    def _bury(self, dead: set[str], leases: Mapping[str, Lease]) -> None:
        for row in _running(dead):
            worker = row.worker_ids[-1]
            if give_back(row, crashed=not leases[worker].stopping):
                logger.warning("The job %s is given back: its worker %s is gone.", row.pk, worker)
        for worker in dead:
            if abs(leases[worker].age) > ECHO_SECONDS:
                self._leases.remove(worker, leases[worker])


def _running(workers: set[str] | None = None) -> Iterator[Any]:
    """The rows in the hands of these workers of ours, or of all."""
    claims = DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING).order_by("pk")
    for key, worker_ids in claims.values_list("pk", "worker_ids"):
        worker = worker_ids[-1] if isinstance(worker_ids, list) and worker_ids else None
        if isinstance(worker, str) and worker.startswith(watch.PREFIX) and (workers is None or worker in workers):
            row = DBTaskResult.objects.filter(pk=key, status=TaskResultStatus.RUNNING, worker_ids=worker_ids).first()
            if row is not None:
                yield row
