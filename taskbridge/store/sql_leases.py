"""Leases and counters in SQL: one statement each, by the clock of the database's server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.store.columns import moment
from taskbridge.store.lease import Lease
from taskbridge.store.sql_tables import SQLTables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.store.database import Database

_MICROSECOND: Final = timedelta(microseconds=1)

# The token comes from the clock, so that it rises although leases that ended long ago are swept.
_ACQUIRE: Final = """
    INSERT INTO taskbridge_leases AS r (name, holder, token, until) VALUES (?, ?, {now}, {now} + ?)
    ON CONFLICT (name) DO UPDATE SET
        holder = excluded.holder,
        token = CASE
            WHEN r.until > {now} THEN r.token
            WHEN r.token >= excluded.token THEN r.token + 1
            ELSE excluded.token
        END,
        until = excluded.until
    WHERE r.until <= {now} OR r.holder = excluded.holder
    RETURNING token, until
"""
_COUNT: Final = """
    INSERT INTO taskbridge_counters AS r (name, count, until) VALUES (?, 1, {now} + ?)
    ON CONFLICT (name) DO UPDATE SET
        count = CASE WHEN r.until > {now} THEN r.count + 1 ELSE 1 END,
        until = excluded.until
    RETURNING count
"""


class SQLLeaseStore(SQLTables):
    """A `LeaseStore` in the tables `taskbridge_leases` and `taskbridge_counters`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._acquire = self._dialect.sql(_ACQUIRE.format(now=self._dialect.now))
        self._count = self._dialect.sql(_COUNT.format(now=self._dialect.now))

    def acquire(self, name: str, /, *, holder: str, span: timedelta) -> Lease | None:
        self._prepare()
        found = self._fetch(self._acquire, (name, holder, span // _MICROSECOND))
        self._sweep_if_due()
        if not found:
            return None
        token, until = found[0]
        return Lease(name=name, holder=holder, token=token, until=moment(until))

    def renew(self, leases: Sequence[Lease], /, *, span: timedelta) -> frozenset[str]:
        return self._prolonged("taskbridge_leases", leases, span)

    def release(self, leases: Sequence[Lease], /) -> None:
        self._prolonged("taskbridge_leases", leases, timedelta(0))

    def count(self, name: str, /, *, span: timedelta) -> int:
        self._prepare()
        ((count,),) = self._fetch(self._count, (name, span // _MICROSECOND))
        return int(count)
