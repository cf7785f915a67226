"""The worker's side of a job that is being run."""

from __future__ import annotations

from celery.worker.request import Request


class EarlyRequest(Request):
    """Acknowledges before a process may start the job, so that it is never started twice."""

    acknowledged: bool

    def revoked(self) -> bool:
        """Celery asks this last before it hands the job to a process."""
        if super().revoked():
            return True
        if not self.acknowledged:
            self._message.ack()
            self.acknowledged = True
        return False
