"""The task whose jobs are sent, damaged and whole."""

from __future__ import annotations

import os

import taskbridge


@taskbridge.task
def note(text: str = "", **more: object) -> None:
    """Write a line, in one write."""
    file = os.open(os.environ["PROBE_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{text}\n".encode("utf-8", "replace"))
    os.close(file)
