"""What TaskBridge's own Python costs, and its import."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from taskbridge_compare.bench.row import Row
from taskbridge_compare.speed import layer

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION = "TaskBridge's own Python, without a broker"
IMPORT_BUDGET = 60.0
"""Milliseconds of `import taskbridge` beyond an empty interpreter."""
EMPTY_REFERENCE = 10.0
"""Milliseconds of an empty interpreter on the machine which that budget is meant for."""
_STARTS = 9


def rows() -> Iterator[Row]:
    """One for each promise."""
    scale = max(1.0, layer.calibration() / layer.REFERENCE)
    told = f"; allowed here x{scale:.2f} for the speed of this interpreter" if scale > 1 else ""
    for subject, cost, budget in (
        ("one enqueue", layer.enqueue_cost(), layer.ENQUEUE_BUDGET),
        ("one of enqueue_many(100)", layer.bulk_cost(), layer.ENQUEUE_BUDGET),
        ("one using(...).enqueue", layer.changed_options_cost(), None),
        ("one job in the worker", layer.worker_cost(), layer.WORKER_BUDGET),
    ):
        yield Row(
            section=SECTION,
            subject=subject,
            value=f"{cost:.1f} us",
            target=f"<= {budget:g} us" if budget else "none set",
            verdict="pass" if budget is None or cost <= budget * scale else "FAIL",
            detail=f"three typed arguments and metadata, fastest burst{told}",
            number=cost,
        )
    yield _import()


def _import() -> Row:
    empty, loaded = [], []
    _start("import taskbridge")
    for _ in range(_STARTS):
        empty.append(_start("pass"))
        loaded.append(_start("import taskbridge"))
    cost = min(loaded) - min(empty)
    allowed = IMPORT_BUDGET * max(1.0, min(empty) / EMPTY_REFERENCE)
    return Row(
        section=SECTION,
        subject="import taskbridge",
        value=f"{cost:.0f} ms",
        target=f"<= {IMPORT_BUDGET:g} ms",
        verdict="pass" if cost <= allowed else "FAIL",
        detail=f"beyond an empty interpreter, which takes {min(empty):.0f} ms here; {allowed:.0f} ms allowed for that",
        number=cost,
        samples={"empty": empty, "loaded": loaded},
    )


def _start(code: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], environment)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    return (usage.ru_utime + usage.ru_stime) * 1e3
