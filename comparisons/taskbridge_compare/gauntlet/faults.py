"""Every fault, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge_compare.gauntlet.broker_fault import BROKER
from taskbridge_compare.gauntlet.cut_faults import DELIVERY, ENQUEUE
from taskbridge_compare.gauntlet.pause_fault import PAUSE
from taskbridge_compare.gauntlet.worker_faults import SIGKILL, SIGTERM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge_compare.gauntlet.fault import Fault

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in (SIGKILL, SIGTERM, BROKER, DELIVERY, ENQUEUE, PAUSE)}
