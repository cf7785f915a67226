"""TaskBridge's own durable state. For now: results."""

from taskbridge.store.open import open_store
from taskbridge.store.protocol import ResultStore
from taskbridge.store.record import DetailStatus, NewRecord, Record, ResultStatus, TaskError
from taskbridge.store.transition import Expired, Failed, Retrying, Started, Succeeded, Transition
from taskbridge.store.wait import wait

__all__ = [
    "DetailStatus",
    "Expired",
    "Failed",
    "NewRecord",
    "Record",
    "ResultStatus",
    "ResultStore",
    "Retrying",
    "Started",
    "Succeeded",
    "TaskError",
    "Transition",
    "open_store",
    "wait",
]
