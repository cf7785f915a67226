"""What `delivery` promises when the whole tree of a worker is killed in the middle of a job."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

import taskbridge
from taskbridge.router import router
from taskbridge.store import DetailStatus, Selection
from taskbridge.worker.effectively_once import key_name
from tests.cli import part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    url = f"huey+sqlite:///{tmp_path}/queue.db"
    taskbridge.configure(url)
    yield url
    router.configure(None)


@contextlib.contextmanager
def worker(url: str) -> Iterator[None]:
    """A worker whose whole tree is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "taskbridge", "worker", "-A", "tests.cli.part"],
        cwd=ROOT,
        env={**os.environ, "TASKBRIDGE_URL": url},
    ) as process:
        try:
            yield
        finally:
            tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            for each in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 45
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def starts(path: Path) -> int:
    return path.read_text().count("start") if path.exists() else 0


def test_at_most_once_is_not_started_again_and_leaves_a_dead_letter(url: str, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    handle = part.once.enqueue(str(noted))
    with worker(url):
        until(lambda: starts(noted) == 1)
    store = router.store()
    assert store is not None
    with worker(url):
        until(lambda: any(store.letters(Selection(ids=(handle.id,)))))
    (letter,) = store.letters(Selection(ids=(handle.id,)))
    assert (letter.reason, letter.crashes) == ("at most once", 1)
    assert starts(noted) == 1
    handle.refresh()
    assert handle.detail_status is DetailStatus.FAILED


def test_at_least_once_is_started_again(url: str, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    handle = part.at_least_once.enqueue(str(noted))
    with worker(url):
        until(lambda: starts(noted) == 1)

    def is_finished() -> bool:
        handle.refresh()
        return handle.is_finished

    with worker(url):
        until(is_finished)
    assert starts(noted) == 2
    assert handle.detail_status is DetailStatus.SUCCESSFUL


def test_effectively_once_is_not_done_again_where_the_acknowledgement_was_lost(url: str, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    task = part.dies_before_it_is_acknowledged
    handle = task.enqueue(str(noted))
    store = router.store()
    assert store is not None

    def is_skipped() -> bool:
        key = store.read_key(key_name(task.name, str(noted)))
        return key is not None and key.skipped > 0

    with worker(url):
        until(is_skipped)
    assert starts(noted) == 1
    handle.refresh()
    assert (handle.detail_status, handle.return_value) == (DetailStatus.SUCCESSFUL, "done")
