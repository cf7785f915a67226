"""A task that ticks every second. Imported by the schedulers of a test, and not by the test."""

from __future__ import annotations

from datetime import timedelta

import taskbridge


@taskbridge.periodic(every=timedelta(seconds=1), name="clock", missed="all")
@taskbridge.task
def tick() -> None: ...
