"""The whole store in a SQL database: plain statements, alike on SQLite and PostgreSQL."""

from __future__ import annotations

from taskbridge.store.sql_cancellations import SQLCancellationStore
from taskbridge.store.sql_keyed import SQLKeyedResultStore
from taskbridge.store.sql_leases import SQLLeaseStore
from taskbridge.store.sql_letters import SQLDeadLetterStore
from taskbridge.store.sql_schedules import SQLScheduleStore
from taskbridge.store.sql_waiting import SQLWaitingStore


class SQLStore(
    SQLKeyedResultStore,
    SQLLeaseStore,
    SQLDeadLetterStore,
    SQLWaitingStore,
    SQLScheduleStore,
    SQLCancellationStore,
):
    """A `Store` in tables whose names begin with `taskbridge_`."""
