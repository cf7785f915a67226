"""Duties that one process at a time does for all: any number of schedulers may run."""

from taskbridge.scheduler.duties import duties_of, scheduling
from taskbridge.scheduler.duty import Duty
from taskbridge.scheduler.scheduler import Scheduler

__all__ = ["Duty", "Scheduler", "duties_of", "scheduling"]
