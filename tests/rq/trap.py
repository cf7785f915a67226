"""Importing this module is what a message must not be able to do."""

from tests.rq.tasks import write

write(job="trap")


def spring(*arguments: object) -> None:
    """Be named by a message."""
