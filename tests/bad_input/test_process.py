"""Mistakes that only a process of its own can make."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(textwrap.dedent(text))


def test_enqueue_from_main_names_the_import_to_write(tmp_path: Path) -> None:
    write(
        tmp_path,
        "script.py",
        """
        import taskbridge

        @taskbridge.task
        def note() -> None: ...

        note.enqueue()
        """,
    )
    ran = run(tmp_path, "script.py", TASKBRIDGE_URL="huey+sqlite:///./queue.db")
    assert ran.returncode == 1
    assert "from tasks import note" in ran.stderr
    assert not (tmp_path / "queue.db").exists()


def test_a_task_declared_while_a_job_runs_fails_that_job_in_words(tmp_path: Path) -> None:
    write(tmp_path, "late.py", "import taskbridge\n\n@taskbridge.task\ndef never() -> None: ...\n")
    write(
        tmp_path,
        "jobs.py",
        """
        import taskbridge

        @taskbridge.task(result=True)
        def imports_late() -> None:
            import late
        """,
    )
    write(
        tmp_path,
        "script.py",
        """
        import subprocess, sys
        from datetime import timedelta
        import jobs

        worker = subprocess.Popen([sys.executable, "-m", "taskbridge", "worker", "-A", "jobs"])
        try:
            jobs.imports_late.enqueue().wait(timeout=timedelta(seconds=30))
        finally:
            worker.terminate()
            worker.wait(20)
        """,
    )
    ran = run(tmp_path, "script.py", TASKBRIDGE_URL="huey+sqlite:///./queue.db")
    assert "JobFailed" in ran.stderr
    assert "late.never" in ran.stderr
    assert "after the worker started" in ran.stderr


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("worker", "-A", "no_such_module"), 2, "'no_such_module'"),
        (("worker", "-Q", "mial"), 2, "'mial'"),
        (("worker", "-b", "bulk"), 2, "'bulk'"),
        (("wroker",), 2, "Did you mean 'worker'"),
        (("enqueue", "-A", "jobs", "jobs.nothing"), 2, "jobs.nothing"),
        (("enqueue", "-A", "jobs", "jobs.note", "{"), 2, "no JSON"),
        (("enqueue", "-A", "jobs", "jobs.note", "[1, 2]"), 1, "jobs.note"),
        (("enqueue", "-A", "jobs", "jobs.note", '["k"]', "--priority", "101"), 1, "101"),
        (("result", "01999999-0000-7000-8000-000000000000"), 1, "Nothing is recorded"),
    ],
)
def test_the_command_line_says_what_is_wrong_in_one_line(
    argv: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    write(tmp_path, "jobs.py", "import taskbridge\n\n@taskbridge.task\ndef note(key: str) -> None: ...\n")
    ran = run(tmp_path, "-m", "taskbridge", *argv, TASKBRIDGE_URL="huey+sqlite:///./queue.db")
    assert ran.returncode == code, ran.stderr
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("url", ["django+db://default", "django+rq://default"])
def test_django_without_settings_names_the_variable(url: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    ran = subprocess.run(
        [sys.executable, "-m", "taskbridge", "worker"],
        cwd=tmp_path,
        env={**environment, "TASKBRIDGE_URL": url},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 2, ran.stderr
    assert "DJANGO_SETTINGS_MODULE" in ran.stderr
    assert "Traceback" not in ran.stderr
