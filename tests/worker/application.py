"""The tasks of these tests, which write down when they begin and end."""

from __future__ import annotations

import os
import time
from pathlib import Path

from taskbridge import task


def write(*words: str) -> None:
    line = " ".join((*words, "\n")).encode()
    ledger = os.open(os.environ["WORKER_LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(ledger, line)
    os.close(ledger)


@task
def note(text: str) -> None:
    write("noted", text)


@task
def holds(file: str) -> None:
    """Wait until a file appears."""
    write("began", file)
    end = time.monotonic() + 60
    while not Path(file).exists() and time.monotonic() < end:
        time.sleep(0.02)
    write("ended", file)
