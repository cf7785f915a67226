"""The process of an application that enqueues: it answers requests, one line of JSON each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from taskbridge_compare.place import START_SECONDS, StationError, importing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskbridge_compare.ledger import Ledger
    from taskbridge_compare.place import Place

REPLY_SECONDS = 30.0
_END_SECONDS = 2
_TAIL = 800


class ProducerProcess:
    """Started by the first request. Any thread may ask."""

    def __init__(self, place: Place, log: Path, ledger: Ledger) -> None:
        self._place = place
        self._log = log
        self._ledger = ledger
        self._process: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()

    def request(self, request: Mapping[str, Any], *, seconds: float = REPLY_SECONDS) -> dict[str, Any]:
        """Ask; raises StationError if no answer comes in time."""
        with self._asking:
            process = self._process
            if process is None:
                with importing(self._ledger):
                    process = self._start()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                raise StationError(f"the producer ended: {self._tail()}") from None
            return self._reply(process, seconds)

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def _start(self) -> subprocess.Popen[str]:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "producer.py"],
                cwd=self._place.folder,
                env={**os.environ, **self._place.environment, "SHOP_NEXT_RELEASE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._reply(self._process, START_SECONDS)
        return self._process

    def _reply(self, process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
        assert process.stdout is not None
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.start()
        try:
            line = process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise StationError(f"the producer ended or hung for {seconds:g} s: {self._tail()}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-_TAIL:].strip() if self._log.exists() else ""
