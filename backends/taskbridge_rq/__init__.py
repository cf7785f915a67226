"""RQ as a TaskBridge backend."""

from taskbridge_rq.backend import RQBackend
from taskbridge_rq.worker import Worker

__all__ = ["RQBackend", "Worker"]
