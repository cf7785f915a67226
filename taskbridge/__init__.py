"""One task API on Celery, Dramatiq, RQ, Huey and Django tasks."""

from taskbridge.cancellation import Cancellation
from taskbridge.context import Context, current_context
from taskbridge.decorator import task
from taskbridge.errors import (
    BackendNotInstalled,
    BrokerUnavailable,
    ConfigurationError,
    DeadlineExceeded,
    EnqueueError,
    InvalidArguments,
    InvalidTask,
    JobFailed,
    NotInTask,
    ResultTimeout,
    ResultUnavailable,
    TaskBridgeError,
    UnknownBackend,
    UnsupportedFeature,
)
from taskbridge.hooks import around_attempt, on_final_failure, on_worker_start, on_worker_stop
from taskbridge.result import DetailStatus, ResultStatus, TaskResult
from taskbridge.retry import Retry
from taskbridge.router import configure
from taskbridge.schedules import periodic
from taskbridge.task import Task

__all__ = [
    "BackendNotInstalled",
    "BrokerUnavailable",
    "Cancellation",
    "ConfigurationError",
    "Context",
    "DeadlineExceeded",
    "DetailStatus",
    "EnqueueError",
    "InvalidArguments",
    "InvalidTask",
    "JobFailed",
    "NotInTask",
    "ResultStatus",
    "ResultTimeout",
    "ResultUnavailable",
    "Retry",
    "Task",
    "TaskBridgeError",
    "TaskResult",
    "UnknownBackend",
    "UnsupportedFeature",
    "around_attempt",
    "configure",
    "current_context",
    "on_final_failure",
    "on_worker_start",
    "on_worker_stop",
    "periodic",
    "task",
]
