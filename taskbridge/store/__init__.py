"""TaskBridge's own durable state: results, leases, dead letters, keys, jobs that wait for their time, schedules."""

from taskbridge.store.key import Key
from taskbridge.store.lease import Lease
from taskbridge.store.letter import Burial, DeadLetter, Redrive, Selection
from taskbridge.store.open import open_store
from taskbridge.store.protocol import (
    DeadLetterStore,
    KeyStore,
    LeaseStore,
    ResultStore,
    ScheduleStore,
    Store,
    WaitingStore,
)
from taskbridge.store.record import DetailStatus, NewRecord, Record, ResultStatus, TaskError
from taskbridge.store.standing import Standing
from taskbridge.store.transition import Expired, Failed, Retrying, Skipped, Started, Succeeded, Transition
from taskbridge.store.wait import wait
from taskbridge.store.waiting import Claimed

__all__ = [
    "Burial",
    "Claimed",
    "DeadLetter",
    "DeadLetterStore",
    "DetailStatus",
    "Expired",
    "Failed",
    "Key",
    "KeyStore",
    "Lease",
    "LeaseStore",
    "NewRecord",
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
    "open_store",
    "wait",
]
