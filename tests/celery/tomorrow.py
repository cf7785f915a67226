"""A task that today's workers do not know."""

import taskbridge
from tests.celery.application import note


@taskbridge.task(name="tomorrow")
def tomorrow(text: str) -> None:
    note(text)
