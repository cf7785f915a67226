"""Supervision, with real programs below a real supervisor process that gets real signals."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from taskbridge.process import Command, Ending, Process, Restarts

if TYPE_CHECKING:
    from pathlib import Path

SOON = timedelta(seconds=15)

SUPERVISOR = """
import sys
from datetime import timedelta
from taskbridge.process import Command, Restarts, supervise
programs = sys.argv[2:]
def tell(event):
    print(event.kind, event.command.label, event.pid, event.exit_code, flush=True)
ending = supervise(
    [Command(argv=(sys.executable, "-c", source), label=f"number{n}") for n, source in enumerate(programs)],
    grace=timedelta(seconds=float(sys.argv[1])),
    on_event=tell,
    restarts=Restarts(first_delay=timedelta(seconds=0.05), give_up_after=3),
)
print("ending", ending.name, flush=True)
sys.exit(ending)
"""
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("polite leaves", flush=True)))
print("program is up", flush=True)
time.sleep(300)
"""
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('program is up', flush=True); time.sleep(300)"
BROKEN = "import sys; sys.exit(7)"


def supervisor(tmp_path: Path, *programs: str, grace: float = 10) -> Process:
    return Process(
        Command(argv=(sys.executable, "-c", SUPERVISOR, str(grace), *programs), label="supervisor"),
        log=tmp_path / "log",
    )


def wait_for_count(process: Process, text: str, count: int) -> None:
    process.wait_until(lambda: process.output().count(text) >= count, within=SOON, what=f"{count} times at {text!r}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_programs_warmly(tmp_path: Path, number: signal.Signals) -> None:
    with supervisor(tmp_path, POLITE, POLITE) as process:
        wait_for_count(process, "program is up", 2)
        process.send(number)
        assert process.wait(within=SOON) == Ending.STOPPED
        assert process.output().count("polite leaves") == 2
        assert process.tree() == []


def test_what_does_not_leave_within_the_grace_is_killed_and_the_exit_code_says_so(tmp_path: Path) -> None:
    with supervisor(tmp_path, POLITE, DEAF, grace=0.3) as process:
        wait_for_count(process, "program is up", 2)
        process.send(signal.SIGTERM)
        assert process.wait(within=SOON) == Ending.KILLED
        assert "killing number1" in process.output()
        assert process.output().count("polite leaves") == 1


def test_a_second_signal_ends_the_grace(tmp_path: Path) -> None:
    with supervisor(tmp_path, DEAF, grace=300) as process:
        wait_for_count(process, "program is up", 1)
        process.send(signal.SIGINT)
        process.wait_for_line("stopping number0", within=SOON)
        process.send(signal.SIGINT)
        assert process.wait(within=SOON) == Ending.KILLED


def test_what_dies_is_started_again_and_its_orphans_are_not_left_beside_it(tmp_path: Path) -> None:
    program = """
import subprocess, sys, time
orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(299)"], start_new_session=True)
print("program is up", orphan.pid, flush=True)
time.sleep(300)
"""
    with supervisor(tmp_path, program) as process:
        match = process.wait_for_line(r"started number0 (\d+)", within=SOON)
        orphan = int(process.wait_for_line(r"program is up (\d+)", within=SOON)[1])
        os.kill(int(match[1]), signal.SIGKILL)
        wait_for_count(process, "program is up", 2)
        assert f"ended number0 {match[1]} -9" in process.output()
        assert not psutil.pid_exists(orphan)


def test_it_gives_up_on_a_program_that_always_dies_at_once(tmp_path: Path) -> None:
    with supervisor(tmp_path, POLITE, BROKEN) as process:
        assert process.wait(within=SOON) == Ending.GAVE_UP
        output = process.output()
        assert output.count("started number1") == 3
        assert "gave up number1" in output
        assert "ended number0" in output


def test_nothing_survives_a_killed_supervisor(tmp_path: Path) -> None:
    process = supervisor(tmp_path, DEAF, POLITE)
    wait_for_count(process, "program is up", 2)
    tree = process.tree()
    process.send(signal.SIGKILL)
    assert process.wait(within=SOON) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(member.pid) for member in tree):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.close()


def test_delays_double_up_to_the_longest() -> None:
    restarts = Restarts(first_delay=timedelta(seconds=1), longest_delay=timedelta(seconds=5))
    assert [restarts.delay(n).total_seconds() for n in range(5)] == [0, 1, 2, 4, 5]
