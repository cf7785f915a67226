"""A process that keeps servers running after `taskbridge services up` has ended: `python -m taskbridge.services.hold`.

It writes one line of JSON for each server that is ready, then an empty one, and stops them all at SIGTERM. If it is
killed, their keepers stop them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec

from taskbridge.errors import TaskBridgeError
from taskbridge.services.find import start_private
from taskbridge.services.kind import Kind
from taskbridge.services.state import ProcessRecord, ServerRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Wanted(msgspec.Struct, frozen=True):
    """What to start and by which means."""

    kinds: tuple[Kind, ...]
    allow_apt: bool = False
    allow_download: bool = True


def start_detached(wanted: Wanted) -> Iterator[ServerRecord]:
    """Start the servers below a new holder; each one when it is ready.

    If one fails, or the caller leaves early, all are stopped. Raises TaskBridgeError with the holder's words.
    """
    holder = subprocess.Popen(
        [sys.executable, "-m", "taskbridge.services.hold", msgspec.json.encode(wanted).decode()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert holder.stdout is not None
    assert holder.stderr is not None
    complete = False
    try:
        for line in holder.stdout:
            if not line.strip():
                complete = True
                break
            yield msgspec.json.decode(line, type=ServerRecord)
        if not complete:
            raise TaskBridgeError(holder.stderr.read().decode().strip() or "the process that holds the servers ended")
    finally:
        if not complete:
            holder.terminate()
            holder.wait()
        holder.stdout.close()
        holder.stderr.close()
        holder.returncode = holder.returncode or 0  # it runs on; else its collection would warn


def _hold(wanted: Wanted) -> None:
    ends: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in ends:
        signal.signal(number, lambda *_: sys.exit(0))
    me = ProcessRecord.of(os.getpid())
    with ExitStack() as running:
        for kind in wanted.kinds:
            server = running.enter_context(
                start_private(kind, allow_apt=wanted.allow_apt, allow_download=wanted.allow_download)
            )
            _say(msgspec.json.encode(ServerRecord.of(server, me)))
        _say(b"")
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, sys.stdout.fileno())
        os.dup2(nowhere, sys.stderr.fileno())
        while True:
            signal.pause()


def _say(line: bytes) -> None:
    os.write(sys.stdout.fileno(), line + b"\n")


if __name__ == "__main__":
    try:
        _hold(msgspec.json.decode(sys.argv[1], type=Wanted))
    except TaskBridgeError as error:
        sys.exit(str(error))
