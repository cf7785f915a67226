"""The legacy shop's actors as tasks, under their old names."""

from __future__ import annotations

from datetime import timedelta

import taskbridge
from tests.dramatiq.application import note


@taskbridge.task(name="receipt")
def receipt(number: int, *, name: str) -> None:
    note("receipt", number=number, name=name)


@taskbridge.task(name="report", takes_context=True, retry=taskbridge.Retry(2, delay=timedelta(0), on=(Exception,)))
def report(context: taskbridge.Context, days: int) -> None:
    note("report", days=days, attempt=context.attempt)
    raise ValueError("no data")


@taskbridge.task(name="moved")
def moved(by: timedelta) -> None: ...


@taskbridge.task(name="audit")
def audit(days: int) -> None:
    note("audit", days=days)
    raise ValueError("no data")
