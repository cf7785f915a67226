"""`taskbridge services`, with real servers that outlive the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from click.testing import CliRunner

from taskbridge.cli import main
from taskbridge.services.resp import ask
from taskbridge.services.state import ProcessRecord, ServerRecord, open_state, read_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASKBRIDGE = (sys.executable, "-c", "from taskbridge.cli import main; main()")

pytestmark = [pytest.mark.xdist_group("services"), pytest.mark.timeout(180)]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "deep" / "state.json"
    yield path
    run("down", path)


def run(verb: str, state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In an own process, which is over before the servers are looked at."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from taskbridge.cli import main; main()",
            "services",
            verb,
            "--state",
            str(state),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline, f"{pid} still lives"
        time.sleep(0.02)


def test_up_gives_servers_that_outlive_it_until_down(state: Path) -> None:
    up = run("up", state, "--redis", "--postgres", "--json")
    assert up.returncode == 0, up.stderr
    servers = json.loads(up.stdout)["servers"]
    assert [server["kind"] for server in servers] == ["redis", "postgres"]
    assert ask(servers[0]["url"], ("PING",)) == ["PONG"]
    again = run("up", state, "--redis", "--json")
    assert json.loads(again.stdout)["servers"] == servers[:1]
    status = run("status", state)
    assert status.returncode == 0
    assert servers[0]["url"] in status.stdout
    assert state.stat().st_mode & 0o077 == 0
    down = run("down", state, "--json")
    assert {server["state"] for server in json.loads(down.stdout)["servers"]} == {"stopped"}
    for server in servers:
        assert not psutil.pid_exists(server["pid"])
    assert run("status", state).returncode == 1


def test_a_killed_holder_takes_its_servers_along(state: Path) -> None:
    run("up", state, "--redis")
    (record,) = read_state(state).servers
    holder = record.holder.process()
    assert holder is not None
    holder.kill()
    wait_until_gone(record.server.pid)
    status = run("status", state)
    assert (status.returncode, "dead" in status.stdout) == (1, True)
    assert run("up", state, "--redis").returncode == 0
    assert len(read_state(state).servers) == 1


def test_down_spares_a_process_that_has_the_number_of_a_recorded_one(state: Path) -> None:
    with subprocess.Popen(["sleep", "300"]) as stranger:
        other_moment = ProcessRecord(stranger.pid, ProcessRecord.of(stranger.pid).created - 100)
        record = ServerRecord("redis", "redis://127.0.0.1:9/0", "7", "system", "/nowhere", other_moment, other_moment)
        with open_state(state) as recorded:
            recorded.servers.append(record)
        down = run("down", state)
        assert down.returncode == 0
        assert stranger.poll() is None
        assert read_state(state).servers == []
        stranger.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_up_ended_in_the_middle_leaves_no_server(state: Path, number: signal.Signals) -> None:
    up = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from taskbridge.cli import main; main()",
            "services",
            "up",
            "--rabbitmq",
            "--state",
            str(state),
        ],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while not (started := [p for p in psutil.Process(up.pid).children(recursive=True) if p.name() == "beam.smp"]):
        assert up.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    up.send_signal(number)
    assert up.wait(20) != 0
    # After SIGKILL the holder learns it at its first word to us, when the node is ready.
    deadline = time.monotonic() + 40
    while started[0].is_running():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert read_state(state).servers == []


@pytest.mark.usefixtures("bare_machine")
def test_a_missing_server_is_an_error_with_the_command_to_run(state: Path) -> None:
    result = CliRunner().invoke(main, ["services", "up", "--rabbitmq", "--state", str(state)])
    assert result.exit_code == 2
    assert "No rabbitmq server on this machine. Run `apt-get install rabbitmq-server` (as root)" in result.stderr


def test_a_file_that_is_no_record_is_refused_and_kept(state: Path) -> None:
    state.parent.mkdir()
    state.write_text("[]")
    result = CliRunner().invoke(main, ["services", "down", "--state", str(state)])
    assert result.exit_code == 2
    assert "is no record of servers" in result.stderr
    assert state.read_text() == "[]"
