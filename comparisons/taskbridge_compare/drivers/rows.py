"""Every row that can be asked for."""

from __future__ import annotations

import difflib
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.lease_queue import LEASE_QUEUES
from taskbridge_compare.drivers.native_celery import NativeCelery
from taskbridge_compare.drivers.native_django import NativeDjango
from taskbridge_compare.drivers.native_dramatiq import NativeDramatiq
from taskbridge_compare.drivers.native_huey import NativeHuey
from taskbridge_compare.drivers.native_rq import NativeRQ
from taskbridge_compare.drivers.planted import Planted
from taskbridge_compare.drivers.taskbridge import TaskBridge
from taskbridge_compare.drivers.taskbridge_django import TaskBridgeDjango

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.metadata import EntryPoint

    from taskbridge_compare.drivers.driver import Driver


class RowsError(ValueError):
    """A `--backends` that names no row."""


def rows() -> list[Driver]:
    """Every engine on every broker, natively and through TaskBridge, in the order of the report."""
    everything: list[Driver] = []
    adapters = _adapters()
    for native in _native():
        everything.append(native)
        if bridged := _bridged(native, adapters):
            everything.append(bridged)
    return everything


def unavailable(driver: Driver) -> str:
    """Why this row cannot be run on this installation, ending in the command that helps; empty if it can."""
    missing = [name for name in driver.distributions if not _installed(name)]
    extra = driver.backend.partition("+")[0]
    if missing:
        return f"{', '.join(missing)} is not installed. Run `pip install 'taskbridge[{extra}]'`"
    return ""


def without_adapter(drivers: Sequence[Driver]) -> list[str]:
    """Backends that run natively here, and for which no adapter of TaskBridge is installed."""
    bridged = {driver.backend for driver in drivers if driver.profile == "taskbridge"}
    return [driver.backend for driver in drivers if driver.profile == "native" and driver.backend not in bridged]


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _native() -> list[Driver]:
    return [
        NativeCelery(broker="redis"),
        NativeCelery(broker="amqp"),
        NativeDramatiq(broker="redis"),
        NativeDramatiq(broker="amqp"),
        NativeRQ(),
        NativeHuey(broker="redis"),
        NativeHuey(broker="sqlite"),
        NativeDjango(kind="db", broker="sqlite"),
        NativeDjango(kind="db", broker="postgres"),
        NativeDjango(kind="rq", broker="redis"),
    ]


def _bridged(native: Driver, adapters: Mapping[str, EntryPoint]) -> Driver | None:
    engine = native.backend.partition("+")[0]
    if engine not in adapters:
        return None
    known: tuple[str, ...] = adapters[engine].load().brokers  # the second halves of its URLs
    if isinstance(native, NativeDjango):
        return TaskBridgeDjango(native=native, engine=engine) if native.kind in known else None
    if native.broker not in known:
        return None
    threads = 8 if engine == "dramatiq" else 1
    return TaskBridge(
        native=native, engine=engine, threads=threads, url_options="?priority=10" if native.broker == "amqp" else ""
    )


def _adapters() -> dict[str, EntryPoint]:
    """The installed adapters by their engines: looking for them reads the folder of every distribution."""
    found = entry_points(group="taskbridge.backends")
    return {entry.name: entry for entry in found if find_spec(entry.module.partition(".")[0]) is not None}


def choose(names: Sequence[str]) -> list[Driver]:
    """The rows of these backends (`celery` is all of Celery's), all but the planted ones if none is named."""
    if not names:
        return rows()
    everything: list[Driver] = [*rows(), Planted(), *LEASE_QUEUES]
    chosen: list[Driver] = []
    for name in names:
        found = [row for row in everything if row.backend == name or row.backend.startswith((f"{name}+", f"{name}-"))]
        if not found:
            known = sorted({row.backend for row in everything})
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise RowsError(f"--backends {name}: no such backend; {hint}")
        chosen += [row for row in found if row not in chosen]
    return chosen
