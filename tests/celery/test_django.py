"""Under Django: Celery's own care for the database in a worker, and none of its reach where jobs are enqueued."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import taskbridge
from taskbridge.message import Message
from tests.celery.conftest import Ledger, start_worker

pytestmark = pytest.mark.timeout(180)

PRODUCER = """
import sys
import celery._state
import taskbridge
from tests.celery import application
path, app = list(sys.path), celery._state.default_app
taskbridge.configure(sys.argv[1])
application.noted.enqueue("from Django")
assert sys.path == path, "sys.path was changed"
assert celery._state.default_app is app, "Celery's default app was set"
"""


@pytest.fixture(autouse=True)
def _django(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.celery.django_settings")
    monkeypatch.setenv("DJANGO_TEST_DATABASE", str(tmp_path / "database"))


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_a_process_of_the_pool_does_not_use_the_connection_that_it_inherited(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path, imports=("tests.celery.django_tasks",)):
        for text in ("first", "second"):
            taskbridge.router.router.backend().enqueue([Message(text, "ask", [text], {})])
            (told,) = ledger.wait(text)
            assert told["answer"] == 42
            assert not told["inherited"]


def test_enqueuing_changes_nothing_of_the_process(redis_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRODUCER, f"celery+{redis_url}"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
