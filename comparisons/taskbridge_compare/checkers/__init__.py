"""Checkers: pure functions from a history and what was asked to a verdict. They see no engine, broker or clock."""

from taskbridge_compare.checkers.options import delay, expiry, priority, retry_curve, time_limit
from taskbridge_compare.checkers.survival import accounting, crash, unknown_task
from taskbridge_compare.checkers.verdict import BAD, GOOD, Outcome, Verdict

__all__ = [
    "BAD",
    "GOOD",
    "Outcome",
    "Verdict",
    "accounting",
    "crash",
    "delay",
    "expiry",
    "priority",
    "retry_curve",
    "time_limit",
    "unknown_task",
]
