"""Short programs in Python, each in a process of its own that is forked from one which has the imports behind it.

A Django project needs half a second of processor before its first line, and hundreds of such programs only enqueue a
job. Of what they may set nothing is set before the fork: neither environment, nor settings, nor applications.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[1]
IMPORTED: Final = (
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "taskbridge.cli",
    "taskbridge_django_tasks",
    "taskbridge_django_tasks.db",
)


def run_python(
    code: str, *, environment: Mapping[str, str], directory: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """As `python -c code` with these variables beside ours; SIGALRM ends it after `timeout` seconds."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.NamedTemporaryFile("w+") as out, tempfile.NamedTemporaryFile("w+") as err:
        asked = {
            "code": code,
            "environment": {**os.environ, **environment},
            "directory": str(directory),
            "timeout": timeout,
            "outputs": [out.name, err.name],
        }
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(code, status, out.read(), err.read())


@cache
def _server() -> subprocess.Popen[str]:
    """Of this process; it ends with it."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forks"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)
    return server


def serve(requests: TextIO, answers: TextIO) -> None:
    """Fork for each request, and answer with how the child ended."""
    for name in IMPORTED:
        import_module(name)
    for line in requests:
        child = os.fork()
        if child == 0:
            begin(**json.loads(line))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def begin(*, code: str, environment: dict[str, str], directory: str, timeout: float, outputs: list[str]) -> None:
    """In the child: become what `python -c` would be, and end."""
    signal.alarm(max(1, int(timeout)))
    for number, path in enumerate((os.devnull, *outputs)):
        os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), number)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c"]
    sys.path[:1] = ["", *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    status = 0
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter's own top level
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
