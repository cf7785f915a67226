"""Where an application lies, and what its processes are given."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.driver import write
from taskbridge_compare.probe import LEDGER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from taskbridge_compare.drivers.driver import Application
    from taskbridge_compare.ledger import Ledger
    from taskbridge_compare.workload import Workload

START_SECONDS = 45.0
"""How long the start of a producer or worker may take."""
_TURN_SECONDS = 0.2
_SETUP_SECONDS = 60
_TAIL = 800


def usable_processors() -> int:
    """How many this process may use; all of them where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Imports keep a processor busy: in turns, the first stations are already at work while the last ones begin.
_IMPORTING = threading.BoundedSemaphore(max(2, usable_processors()))


class StationError(Exception):
    """The application itself does not work: a producer that cannot start, a worker that never runs a job."""


@dataclass(frozen=True, slots=True)
class Place:
    """An application in a folder of its own."""

    application: Application
    folder: Path
    environment: Mapping[str, str]
    """What the application's processes get on top of ours."""

    def run(self, argv: tuple[str, ...]) -> None:
        """Run a command that the application needs before all others. Raises StationError if it fails."""
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            timeout=_SETUP_SECONDS,
            check=False,
            text=True,
        )
        if done.returncode:
            raise StationError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()[-_TAIL:]}")


def lay_out(application: Application, folder: Path, workload: Workload, *, ledger: Ledger, native: bool) -> Place:
    """Write the application into a new folder."""
    folder.mkdir()
    write(application, workload, folder, native=native)
    temporary = ledger.path.parent.parent / "tmp"  # as short as can be: a socket's path has at most 107 characters
    temporary.mkdir(exist_ok=True)
    environment = {
        **application.environment,
        LEDGER_VARIABLE: str(ledger.path),
        "PYTHONPATH": str(workload.folder),  # for what its module imports from beside it
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",  # an engine's own deprecations are not what is looked for
        "PYTHONDONTWRITEBYTECODE": "",  # a variable of build machines, which makes each start several times as long
        "TMPDIR": str(temporary),  # a killed worker leaves its temporary files
    }
    return Place(application, folder, environment)


@contextlib.contextmanager
def importing(ledger: Ledger) -> Iterator[None]:
    """Within the block a process does nothing but import; only so many do at a time. Ends with the ledger's pause."""
    while not _IMPORTING.acquire(timeout=_TURN_SECONDS):
        ledger.pause(0)
    try:
        yield
    finally:
        _IMPORTING.release()
