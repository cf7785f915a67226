"""Waiting for the process of an attempt, on Linux and where there are no process descriptors."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from taskbridge_rq.horse import ended
from tests.waiting import WAIT


@pytest.mark.parametrize("has_descriptors", [True, False])
def test_the_end_of_a_child_is_seen_once(has_descriptors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_descriptors:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
        monkeypatch.delattr(os, "waitid", raising=False)  # macOS has none before Python 3.13
    child = subprocess.Popen(["sleep", "60"])
    assert ended(child.pid, within=0.02) is None
    child.kill()
    found = ended(child.pid, within=WAIT)
    child.returncode = 0  # collected here
    assert found is not None
    pid, status, used = found
    assert (pid, os.waitstatus_to_exitcode(status)) == (child.pid, -signal.SIGKILL)
    assert used.ru_maxrss > 0
    with pytest.raises(ChildProcessError):
        ended(child.pid, within=0.02)
