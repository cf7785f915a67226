"""TaskBridge's own durable state: results, leases, dead letters, keys, cancellations, jobs that wait, schedules."""

from taskbridge.store.key import Key
from taskbridge.store.lease import Lease
from taskbridge.store.letter import Burial, DeadLetter, Redrive, Selection
from taskbridge.store.open import open_store
from taskbridge.store.protocol import (
    CancellationStore,
    DeadLetterStore,
    KeyedResultStore,
    KeyStore,
    LeaseStore,
    ResultStore,
    ScheduleStore,
    Store,
    WaitingStore,
)
from taskbridge.store.record import DetailStatus, NewRecord, Page, Record, ResultStatus, TaskError
from taskbridge.store.standing import Standing
from taskbridge.store.transition import (
    Cancelled,
    Expired,
    Failed,
    Retrying,
    Skipped,
    Started,
    Succeeded,
    Transition,
    Withdrawn,
)
from taskbridge.store.wait import wait
from taskbridge.store.waiting import Claimed

__all__ = [
    "Burial",
    "CancellationStore",
    "Cancelled",
    "Claimed",
    "DeadLetter",
    "DeadLetterStore",
    "DetailStatus",
    "Expired",
    "Failed",
    "Key",
    "KeyStore",
    "KeyedResultStore",
    "Lease",
    "LeaseStore",
    "NewRecord",
    "Page",
    "Record",
    "Redrive",
    "ResultStatus",
    "ResultStore",
    "Retrying",
    "ScheduleStore",
    "Selection",
    "Skipped",
    "Standing",
    "Started",
    "Store",
    "Succeeded",
    "TaskError",
    "Transition",
    "WaitingStore",
    "Withdrawn",
    "open_store",
    "wait",
]
