"""A task that may take longer than some servers let a worker hold its job."""

from datetime import timedelta

import taskbridge


@taskbridge.task(name="long", timeout=timedelta(seconds=2))
def long() -> None: ...
