"""Whether a process is dead, asked of real ones."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taskbridge.process import liveness
from taskbridge.process.liveness import NOWHERE, fate, own_mark, own_place
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no system but Linux tells when a process began")

TELL = "from taskbridge.process.liveness import fate, own_mark; print(own_mark(), flush=True)"
LIVE = f"{TELL}; import time; time.sleep(300)"


@contextlib.contextmanager
def program(source: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A program that runs, and the mark that it told of itself."""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_running_process_is_alive_also_while_it_is_stopped() -> None:
    with program(LIVE) as (process, mark):
        assert fate(mark) == "alive"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert fate(mark) == "alive"


def test_a_killed_process_is_dead_before_and_after_its_parent_has_taken_note() -> None:
    with program(LIVE) as (process, mark):
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert fate(mark) == "dead"
        process.wait()
        assert fate(mark) == "dead"


def test_a_process_whose_first_thread_has_ended_is_alive_while_another_runs() -> None:
    source = f"""
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(300,)).start()
{TELL}
ctypes.CDLL(None).syscall({60 if os.uname().machine == "x86_64" else 93}, 0)  # exit, of this thread alone
"""
    with program(source) as (process, mark):
        until(lambda: ") Z " in Path(f"/proc/{process.pid}/stat").read_text())
        assert fate(mark) == "alive"
        process.kill()
        until(lambda: fate(mark) == "dead")


def test_whoever_has_its_number_now_is_not_the_one_that_had_it() -> None:
    place, pid, began = own_mark().split("-")
    assert fate(f"{place}-{pid}-{began}") == "alive"
    assert fate(f"{place}-{pid}-{int(began) - 1}") == "dead"


def test_a_forked_child_has_a_mark_of_its_own() -> None:
    source = """
import os
from taskbridge.process.liveness import fate, own_mark
parents = own_mark()
if not os.fork():
    print(parents, own_mark(), fate(parents), flush=True)
    os._exit(0)
os.wait()
"""
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)
    parents, childs, seen_by_child = told.stdout.split()
    assert parents != childs
    assert seen_by_child == "alive"
    assert (fate(parents), fate(childs)) == ("dead", "dead")


@pytest.mark.parametrize("mark", ["", NOWHERE, "x", "-1-1", f"{'0' * 16}-1-1", f"{'0' * 16}-1-1-more"])
def test_of_others_and_of_what_is_no_mark_nothing_is_known(mark: str) -> None:
    assert fate(mark) == "unknown"


def test_what_follows_a_mark_is_passed_over_unless_it_may_belong_to_it() -> None:
    assert fate(f"{own_mark()}-shop-1") == "alive"
    assert fate(f"{own_mark()}f") == "unknown"


def in_a_namespace(*options: str, source: str) -> list[str]:
    as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    argv = ["unshare", *as_root, "--pid", "--fork", "--kill-child", *options, sys.executable, "-c", source]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if "unshare" in ran.stderr:
        pytest.skip(f"no namespaces for this user: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_without_a_proc_nothing_is_known_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = own_mark()
    monkeypatch.setattr(liveness, "_PROC", tmp_path / "none")
    assert (own_mark(), own_place(), fate(mark), fate(NOWHERE)) == (NOWHERE, "", "unknown", "unknown")


def test_a_container_knows_of_its_own_processes_only() -> None:
    source = f"{TELL}; print(fate(own_mark()), fate({own_mark()!r}))"
    mark, of_its_own, of_ours = in_a_namespace("--mount-proc", source=source)
    assert (of_its_own, of_ours) == ("alive", "unknown")
    assert mark != NOWHERE
    assert fate(mark) == "unknown"


def test_under_a_proc_of_other_processes_there_is_no_mark() -> None:
    assert in_a_namespace(source=f"{TELL}; print(fate({own_mark()!r}))") == [NOWHERE, "unknown"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide processes")
def test_a_process_that_is_hidden_from_us_is_not_dead() -> None:
    source = f"""
import os, subprocess, sys
subprocess.run(["mount", "-o", "remount,hidepid=2", "/proc"], check=True)
{TELL}
mark = own_mark()
if not os.fork():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    print(os.path.exists(f"/proc/{{mark.split('-')[1]}}"), fate(own_mark()), fate(mark), flush=True)
    os._exit(0)
os.wait()
"""
    assert in_a_namespace("--mount-proc", source=source)[1:] == ["False", "alive", "unknown"]


def test_the_marks_of_one_place_begin_alike() -> None:
    with program(LIVE) as (_, mark):
        assert mark.startswith(f"{own_place()}-")
        assert own_mark().startswith(f"{own_place()}-")
