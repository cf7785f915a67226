"""The tasks that every one of the applications has, and the file that they write."""

from __future__ import annotations

import os
from datetime import timedelta

import taskbridge


def note(line: str) -> None:
    """Add a line to the ledger, with one system call."""
    descriptor = os.open(os.environ["SHOP_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


@taskbridge.task(takes_context=True, retry=taskbridge.Retry(2, delay=timedelta(milliseconds=100), on=(Exception,)))
def receipt(context: taskbridge.Context, name: str) -> None:
    note(f"{name} {context.attempt} {context.metadata['tenant']}")
    if context.attempt == 1:
        raise ConnectionError
