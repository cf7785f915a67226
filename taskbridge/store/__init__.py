"""TaskBridge's own durable state: results, leases, dead letters."""

from taskbridge.store.lease import Lease
from taskbridge.store.letter import Burial, DeadLetter, Redrive, Selection
from taskbridge.store.open import open_store
from taskbridge.store.protocol import DeadLetterStore, LeaseStore, ResultStore, Store
from taskbridge.store.record import DetailStatus, NewRecord, Record, ResultStatus, TaskError
from taskbridge.store.transition import Expired, Failed, Retrying, Started, Succeeded, Transition
from taskbridge.store.wait import wait

__all__ = [
    "Burial",
    "DeadLetter",
    "DeadLetterStore",
    "DetailStatus",
    "Expired",
    "Failed",
    "Lease",
    "LeaseStore",
    "NewRecord",
    "Record",
    "Redrive",
    "ResultStatus",
    "ResultStore",
    "Retrying",
    "Selection",
    "Started",
    "Store",
    "Succeeded",
    "TaskError",
    "Transition",
    "open_store",
    "wait",
]
