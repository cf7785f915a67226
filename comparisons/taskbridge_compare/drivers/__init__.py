"""One file an engine and profile. A driver never names a workload or an experiment."""

from taskbridge_compare.drivers.driver import Application, Broker, Driver, Profile, shown, write
from taskbridge_compare.drivers.rows import RowsError, choose, rows, unavailable, without_adapter

__all__ = [
    "Application",
    "Broker",
    "Driver",
    "Profile",
    "RowsError",
    "choose",
    "rows",
    "shown",
    "unavailable",
    "without_adapter",
    "write",
]
