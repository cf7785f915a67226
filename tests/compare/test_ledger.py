from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from taskbridge_compare.ledger import Event, Interrupted, Ledger, NotSeen
from taskbridge_compare.probe import LEDGER_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

_WRITER = """
import itertools
from taskbridge_compare.probe import record
for number in itertools.count():
    record("tick", "key", number=number, padding="x" * 300)
"""


def test_what_was_written_survives_a_sigkill_of_the_writer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    environment = {**os.environ, LEDGER_VARIABLE: str(ledger.path)}
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER], env=environment) for _ in range(2)]
    try:
        ledger.wait_for(lambda event: event.extra["number"] == 200, 30, what="the 200th line")
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    assert ledger.path.read_bytes().endswith(b"\n"), "no torn line"
    for writer in writers:
        numbers = [event.extra["number"] for event in ledger.events() if event.pid == writer.pid]
        assert numbers == list(range(len(numbers))), "no hole"


def test_waiting_ends_at_its_deadline_and_names_what_did_not_come(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(NotSeen, match=r"the start: not seen within 0\.1 s"):
        ledger.wait_for(lambda event: event.kind == "start", 0.1, what="the start")


def test_a_half_written_line_is_left_for_the_next_look(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.write("start", "a")
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole + whole[:20])
    assert [event.key for event in ledger.events()] == ["a"]
    ledger.path.write_bytes(whole + whole)
    assert [event.key for event in ledger.events()] == ["a", "a"]


def test_a_stopped_comparison_wakes_whoever_waits(tmp_path: Path) -> None:
    stopping = threading.Event()
    ledger = Ledger(tmp_path / "ledger.jsonl", stopping)
    threading.Timer(0.1, stopping.set).start()
    begin = time.monotonic()
    with pytest.raises(Interrupted):
        ledger.wait_for(lambda event: event.kind == "start", 30, what="the start")
    assert time.monotonic() - begin < 10


def test_an_event_survives_the_way_into_a_result_and_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.write("residual", "a", places=[{"name": "queue", "state": "waiting"}])
    (event,) = ledger.events()
    assert Event.restore(event.plain()) == event
