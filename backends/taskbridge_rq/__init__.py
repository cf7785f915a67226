"""RQ as a TaskBridge backend."""

from taskbridge_rq.backend import RQBackend

__all__ = ["RQBackend"]
