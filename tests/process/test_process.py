"""A supervised process, with real programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from taskbridge.errors import ProcessFailed
from taskbridge.process import Command, GuardedFolder, Process, free_port
from taskbridge.process.port import BELOW

SOON = timedelta(seconds=10)

# A master that does what engines do: a worker in an own session (RQ), an orphan, a daemon with an emptied environment.
MASTER = """
import os, subprocess, sys, time
sleep = ["sleep", "300"]
subprocess.Popen(sleep, start_new_session=True)
subprocess.Popen(["sh", "-c", "sleep 301 & sleep 302 & exit 0"]).wait()
subprocess.Popen(sleep, start_new_session=True, env={})
print("ready", flush=True)
time.sleep(300)
"""


def python(source: str, *arguments: str, stop_signal: signal.Signals = signal.SIGTERM) -> Command:
    return Command(argv=(sys.executable, "-c", source, *arguments), stop_signal=stop_signal)


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while living := [pid for pid in pids if psutil.pid_exists(pid)]:
        assert time.monotonic() < deadline, f"still living: {living}"
        time.sleep(0.02)


def test_kill_tree_ends_sessions_orphans_and_daemons(tmp_path: Path) -> None:
    process = Process(python(MASTER), log=tmp_path / "log")
    process.wait_for_line("^ready$", within=SOON)
    tree = process.tree()
    assert len(tree) == 5, tree
    process.kill_tree()
    assert process.exit_code == -signal.SIGKILL
    assert process.tree() == []
    assert not any(psutil.pid_exists(member.pid) for member in tree)


def test_orphans_of_a_killed_master_stay_in_the_tree(tmp_path: Path) -> None:
    with Process(python(MASTER), log=tmp_path / "log") as process:
        process.wait_for_line("^ready$", within=SOON)
        process.send(signal.SIGKILL)
        assert process.wait(within=SOON) == -signal.SIGKILL
        orphans = process.tree()
        assert len(orphans) == 4
    wait_until_gone([orphan.pid for orphan in orphans])


def test_a_master_that_restarts_its_workers_does_not_outrun_the_kill(tmp_path: Path) -> None:
    source = """
import subprocess
started = [subprocess.Popen(["sleep", "303"]) for _ in range(4)]
print("ready", flush=True)
while True:
    started = [s if s.poll() is None else subprocess.Popen(["sleep", "303"], start_new_session=True) for s in started]
"""
    process = Process(python(source), log=tmp_path / "log")
    process.wait_for_line("ready", within=SOON)
    keeper = psutil.Process(process.pid).ppid()
    process.kill_tree()
    assert not psutil.pid_exists(process.pid)
    wait_until_gone([keeper])


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", "sys.exit(0)", "os._exit(1)", "raise KeyboardInterrupt"])
def test_nothing_survives_our_own_death(tmp_path: Path, death: str) -> None:
    owner = f"""
import os, sys
from datetime import timedelta
from pathlib import Path
from taskbridge.process import Command, GuardedFolder, Process
folder = GuardedFolder(prefix="taskbridge-test-")
command = Command(argv=(sys.executable, "-c", {MASTER!r}))
process = Process(command, log=folder.path / "log")
process.wait_for_line("ready", within=timedelta(seconds=30))
print(folder.path, *[member.pid for member in process.tree()], flush=True)
{death}
"""
    done = subprocess.run([sys.executable, "-c", owner], capture_output=True, text=True, timeout=30, check=False)
    folder, *pids = done.stdout.split()
    assert len(pids) == 5, done.stderr
    wait_until_gone([int(pid) for pid in pids])
    deadline = time.monotonic() + 10
    while Path(folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_keeper_takes_the_program_with_it(tmp_path: Path) -> None:
    with Process(Command(argv=("sleep", "304")), log=tmp_path / "log") as process:
        os.kill(psutil.Process(process.pid).ppid(), signal.SIGKILL)
        assert process.wait(within=SOON) == -signal.SIGKILL
        wait_until_gone([process.pid])


def test_a_process_may_be_started_in_a_thread_that_ends(tmp_path: Path) -> None:
    import threading

    started: list[Process] = []
    thread = threading.Thread(target=lambda: started.append(Process(Command(argv=("sleep", "305")))))
    thread.start()
    thread.join()
    (process,) = started
    with process:
        assert process.wait(within=timedelta(seconds=0.2)) is None
        assert process.running


def test_a_fork_of_ours_neither_ends_nor_holds_the_process(tmp_path: Path) -> None:
    process = Process(Command(argv=("sleep", "306")), log=tmp_path / "log")
    pid = os.fork()
    if pid == 0:
        process.kill_tree()
        time.sleep(20)
        os._exit(0)
    try:
        assert process.wait(within=timedelta(seconds=0.3)) is None
        process.kill_tree()
        assert process.exit_code == -signal.SIGKILL
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_stop_sends_the_commands_own_signal_and_waits(tmp_path: Path) -> None:
    source = """
import signal, sys, time
def leave(number, frame):
    time.sleep(0.2)
    print("left by", signal.Signals(number).name, flush=True)
    sys.exit(5)
signal.signal(signal.SIGINT, leave)
print("ready", flush=True)
time.sleep(300)
"""
    process = Process(python(source, stop_signal=signal.SIGINT), log=tmp_path / "log")
    process.wait_for_line("ready", within=SOON)
    assert process.stop(grace=SOON) == 5
    assert "left by SIGINT" in process.output()


def test_stop_kills_what_does_not_leave_within_the_grace(tmp_path: Path) -> None:
    source = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(300)"
    process = Process(python(source), log=tmp_path / "log")
    process.wait_for_line("ready", within=SOON)
    assert process.stop(grace=timedelta(seconds=0.2)) == -signal.SIGKILL


def test_signals_have_their_default_meaning_in_the_program(tmp_path: Path) -> None:
    source = "import signal; print([signal.getsignal(n) == signal.SIG_DFL for n in (1, 15, 17)])"
    with Process(python(source), log=tmp_path / "log") as process:
        process.wait(within=SOON)
        assert process.output() == "[True, True, True]\n"


def test_an_early_end_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    with (
        Process(python("import sys; print('no config'); sys.exit(3)"), log=tmp_path / "log") as process,
        pytest.raises(ProcessFailed, match=r"ended with exit code 3 before it was ready; .*\n  \| no config"),
    ):
        process.wait_until(lambda: False, within=SOON)


def test_a_missed_deadline_names_what_was_waited_for(tmp_path: Path) -> None:
    with (
        Process(Command(argv=("sleep", "307")), log=tmp_path / "log") as process,
        pytest.raises(ProcessFailed, match=r"sleep was not known to have logged 'never' within 0.1 s"),
    ):
        process.wait_for_line("never", within=timedelta(seconds=0.1))


def test_a_program_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ProcessFailed, match=r"cannot start no-such-program: no program 'no-such-program' on PATH"):
        Process(Command(argv=("no-such-program", "--now")))
    with pytest.raises(
        ProcessFailed, match=r"cannot start worker \(/no/such/program\): FileNotFoundError.*No such file"
    ):
        Process(Command(argv=("/no/such/program",), label="worker"))


def test_output_before_this_process_is_not_taken_for_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ready\n")
    with Process(Command(argv=("sleep", "308")), log=log) as process, pytest.raises(ProcessFailed):
        process.wait_for_line("ready", within=timedelta(seconds=0.1))


def test_environment_reaches_the_program_and_no_repr(tmp_path: Path) -> None:
    large = "x" * 100_000
    command = Command(
        argv=(sys.executable, "-c", "import os; print(os.environ['SECRET'], len(os.environ['LARGE']))"),
        environment={"SECRET": "hünter2", "LARGE": large},
    )
    assert "nter2" not in repr(command)
    with Process(command, log=tmp_path / "log") as process:
        assert process.wait(within=SOON) == 0
        assert process.output().split() == ["hünter2", "100000"]


def test_a_folder_goes_with_its_block() -> None:
    with GuardedFolder(prefix="taskbridge-test-") as folder:
        (folder.path / "file").touch()
        assert folder.path.stat().st_mode & 0o077 == 0
    assert not folder.path.exists()


def test_free_ports_differ() -> None:
    assert len({free_port() for _ in range(20)}) > 15


def test_no_outgoing_connection_is_given_a_free_port() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(given.read_text().split()[0]) if given.exists() else BELOW
    assert max(free_port() for _ in range(200)) < lowest
