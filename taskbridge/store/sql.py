"""The whole store in a SQL database: plain statements, alike on SQLite and PostgreSQL."""

from __future__ import annotations

from taskbridge.store.sql_cancellations import SQLCancellationStore
from taskbridge.store.sql_keys import SQLKeyStore
from taskbridge.store.sql_leases import SQLLeaseStore
from taskbridge.store.sql_letters import SQLDeadLetterStore
from taskbridge.store.sql_results import SQLResultStore
from taskbridge.store.sql_schedules import SQLScheduleStore
from taskbridge.store.sql_waiting import SQLWaitingStore


class SQLStore(
    SQLResultStore,
    SQLLeaseStore,
    SQLDeadLetterStore,
    SQLWaitingStore,
    SQLKeyStore,
    SQLScheduleStore,
    SQLCancellationStore,
):
    """A `Store` in tables whose names begin with `taskbridge_`."""
