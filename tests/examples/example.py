"""A copy of an example, its environment, and its real programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskbridge.process import Command, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BIN = Path(sys.executable).parent
PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Example:
    """An example in a folder of its own. Nothing but the variable TASKBRIDGE_URL says which backend it uses."""

    folder: Path
    url: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """One of its commands, to its end."""
        command = self._command(*argv)
        return subprocess.run(
            command.argv,
            cwd=self.folder,
            env=command.full_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE.total_seconds(),
        )

    @contextmanager
    def running(self, *argv: str) -> Iterator[Process]:
        """One of its programs, while the block lasts; the end of its log is shown if the block fails."""
        log = self.folder / f"{argv[0]}.log"
        with Process(self._command(*argv), log=log) as process:
            try:
                yield process
            except BaseException:
                sys.stderr.write(f"--- {argv[0]}\n{log.read_text()[-4000:]}")
                raise

    def _command(self, *argv: str) -> Command:
        variables = {"TASKBRIDGE_URL": self.url, **self.variables}
        return Command(argv=(str(BIN / argv[0]), *argv[1:]), environment=variables, directory=self.folder)


def copy(name: str, folder: Path, url: str, **variables: str) -> Example:
    """A copy of the example under this name, for one backend."""
    shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("*.db*", "*.sqlite3*"))
    return Example(folder / name, url, variables)


def ask(url: str, body: object = None) -> tuple[int, Any]:
    """Status and JSON of one HTTP request: a POST if there is a body."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds, at most `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not holds():
        assert time.monotonic() < deadline, f"not seen within {PATIENCE}: {what}"
        time.sleep(0.1)  # a look may be a request, which the site needs a core for


def listens(url: str) -> bool:
    """Whether an HTTP server answers, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
