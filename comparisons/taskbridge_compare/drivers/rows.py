"""Every row that can be asked for."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.native_celery import NativeCelery
from taskbridge_compare.drivers.native_django import NativeDjango
from taskbridge_compare.drivers.native_dramatiq import NativeDramatiq
from taskbridge_compare.drivers.native_huey import NativeHuey
from taskbridge_compare.drivers.native_rq import NativeRQ
from taskbridge_compare.drivers.planted import Planted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge_compare.drivers.driver import Driver


class RowsError(ValueError):
    """A `--backends` that names no row."""


def rows() -> list[Driver]:
    """Every engine on every broker, in both profiles, in the order of the report."""
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


def choose(names: Sequence[str]) -> list[Driver]:
    """The rows of these backends (`celery` is all of Celery's), all but the planted one if none is named."""
    everything: list[Driver] = [*rows(), Planted()]
    if not names:
        return everything[:-1]
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
