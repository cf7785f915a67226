"""Workers with one bug each. The tests that would not notice one are no tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taskbridge_rq import Worker
from taskbridge_rq.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rq.executions import Execution
    from rq.job import Job


class WithoutReaper(Worker):
    """Never puts back what others held."""

    def run_maintenance_tasks(self) -> None:
        """Do nothing."""


class WithoutFence(Worker):
    """Records an outcome whoever the job belongs to."""

    @contextmanager
    def _fenced(self, _job: Job, *_also: tuple[Any, ...]) -> Iterator[None]:
        yield


class WithoutRenewal(Worker):
    """Forgets that a lease must be renewed."""

    def maintain_heartbeats(self, job: Job) -> None:
        """Do nothing."""


class WithEarlyAck(Worker):
    """Gives its hold on a job up before the body runs."""

    def prepare_execution(self, job: Job) -> Execution:
        execution = super().prepare_execution(job)
        assert isinstance(self.lease, Lease)
        self.connection.zrem(self.lease.registry, self.lease.entry)
        return execution
