"""The keeper as it works where there is no /proc and no subreaper, run here: nothing of it needs that other system."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from taskbridge.process import Command, Process, keeper, process
from tests.waiting import WAIT, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Its own process, a worker in a session of its own, and an orphan of the program's session.
MASTER = """
import os, subprocess, sys, time
worker = subprocess.Popen(["sleep", "400"], start_new_session=True)
orphan = subprocess.run(["sh", "-c", "sleep 401 >&2 & echo $!"], stdout=subprocess.PIPE, text=True).stdout.strip()
print("started", os.getpid(), worker.pid, orphan, flush=True)
time.sleep(402)
"""

ELSEWHERE = """
import importlib.util, os
spec = importlib.util.spec_from_file_location("keeper", {path!r})
keeper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(keeper)
def is_not_here(*_):
    raise AssertionError("only Linux has it")
keeper._prctl = lambda *_: None
keeper.parents_by_proc = is_not_here
keeper.ByTree = keeper.BySession
keeper.main()
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "keeper_elsewhere.py"
    program.write_text(ELSEWHERE.format(path=keeper.__file__))
    monkeypatch.setattr(process, "_KEEPER", program)
    return program


@contextlib.contextmanager
def master() -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    with subprocess.Popen([sys.executable, "-c", MASTER], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        pids = [int(pid) for pid in running.stdout.readline().split()[1:]]
        try:
            yield running, pids
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_ps_tells_of_the_same_parents_as_proc() -> None:
    with master() as (_, pids):
        asked = [os.getpid(), os.getppid(), *pids]
        by_ps, by_proc = keeper.parents_by_ps(), keeper.parents_by_proc()
        assert [by_ps[pid] for pid in asked] == [by_proc[pid] for pid in asked]
        assert abs(len(by_ps) - len(by_proc)) < len(by_proc) / 2, "and of all others, who come and go"


def test_the_orphans_of_a_session_are_known_once_it_was_seen() -> None:
    members = keeper.BySession()
    with master() as (running, (own, worker, orphan)):
        assert not {own, worker} - members.below()
        running.kill()
        running.wait()
        after = members.below()
        assert worker in after, "an orphan with a session of its own, in which it was seen"
        assert own not in after
        os.kill(worker, signal.SIGKILL)
        until(lambda: not lives(worker))
        assert worker not in members.below()
        assert lives(orphan), "it shares the session of this test, as nothing below a keeper does"


@pytest.mark.usefixtures("elsewhere")
def test_a_tree_is_killed_with_its_sessions_and_its_orphans(tmp_path: Path) -> None:
    tree = Process(Command(argv=(sys.executable, "-c", MASTER)), log=tmp_path / "log")
    pids = _started(tree)
    assert len(pids) == 3
    shown = [{member.pid for member in tree.tree()} for _ in range(20)]
    assert shown == [set(pids[:2])] * 20, "what is below the program, and never the `ps` of the keeper"
    tree.kill_tree()
    assert tree.exit_code == -signal.SIGKILL
    until(lambda: not any(map(lives, pids)))


@pytest.mark.usefixtures("elsewhere")
def test_the_end_of_a_program_is_told_and_its_orphan_stays_until_it_is_killed(tmp_path: Path) -> None:
    tree = Process(Command(argv=(sys.executable, "-c", MASTER)), log=tmp_path / "log")
    own, worker, orphan = _started(tree)
    os.kill(own, signal.SIGKILL)
    until(lambda: not tree.running)
    assert lives(orphan)
    keeper_of_it = tree._keeper.pid
    tree.kill_tree()
    until(lambda: not lives(orphan))
    assert not lives(keeper_of_it)
    with contextlib.suppress(ProcessLookupError):  # seen before its parent died, unless that was within a second
        os.kill(worker, signal.SIGKILL)


@pytest.mark.usefixtures("elsewhere")
def test_a_program_that_ends_alone_ends_its_keeper(tmp_path: Path) -> None:
    tree = Process(Command(argv=("sh", "-c", "exit 3")), log=tmp_path / "log")
    until(lambda: not tree.running)
    assert tree.exit_code == 3
    until(lambda: not lives(tree._keeper.pid))
    tree.close()


def test_nothing_survives_the_death_of_whoever_started_it(elsewhere: Path) -> None:
    owner = f"""
import os, sys, pathlib
from datetime import timedelta
from taskbridge.process import Command, Process, process
process._KEEPER = pathlib.Path({str(elsewhere)!r})
log = pathlib.Path({str(elsewhere.with_name("log"))!r})
tree = Process(Command(argv=(sys.executable, "-c", {MASTER!r})), log=log)
print(*tree.wait_for_line("^started (.*)$", within=timedelta(seconds={WAIT}))[1].split(), flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", owner], capture_output=True, text=True, timeout=60, check=False)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 3, done.stderr
    until(lambda: not any(map(lives, pids)))


def _started(tree: Process) -> list[int]:
    from datetime import timedelta

    line = tree.wait_for_line("^started (.*)$", within=timedelta(seconds=WAIT))[1]
    return [int(pid) for pid in line.split()]
