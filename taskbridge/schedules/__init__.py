"""Periodic tasks: what is enqueued by the clock, and when."""

from taskbridge.schedules.declare import Schedules, periodic, schedules
from taskbridge.schedules.schedule import Schedule
from taskbridge.schedules.settings import known_schedules
from taskbridge.schedules.timetable import Cron, Every, Timetable

__all__ = ["Cron", "Every", "Schedule", "Schedules", "Timetable", "known_schedules", "periodic", "schedules"]
