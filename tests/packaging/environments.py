"""Clean environments to install into, and what is asked of them afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINORS = ("3.11", "3.12", "3.13", "3.14")
DEADLINE = 240.0
PROBE = """
import importlib.metadata, importlib.util, json, pathlib, sys, taskbridge
mine = importlib.metadata.distribution("taskbridge")
points = importlib.metadata.entry_points(group="taskbridge.backends")
print(json.dumps({
    "package": str(pathlib.Path(taskbridge.__file__).parent),
    "prefix": sys.prefix,
    "version": mine.version,
    "celery": importlib.util.find_spec("celery") is not None,
    "backends": {point.name: point.value for point in points},
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A virtual environment, and the pip of this process working on it."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def pip_install(self, *what: str, cwd: Path | None = None) -> None:
        run([sys.executable, "-m", "pip", "--python", self.python, "install", "-q", "--no-compile", *what], cwd=cwd)

    def probe(self) -> dict[str, object]:
        """What an application sees there: asked from outside any checkout."""
        return dict(json.loads(self.ask(PROBE)))

    def ask(self, code: str) -> str:
        return run([self.python, "-c", code], cwd=self.folder)


def run(argv: list[str], *, cwd: Path | None = None, **extra: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))}
    done = subprocess.run(
        argv, cwd=cwd, env=environment | extra, capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
    return done.stdout


@cache
def interpreters() -> dict[str, str]:
    """A path for each Python that we support and that this machine has, by its minor version."""
    found = {}
    for minor in MINORS:
        installed = sorted(Path.home().glob(f".pyenv/versions/{minor}*/bin/python{minor}"))
        on_path = shutil.which(f"python{minor}")
        running = sys.executable if f"{sys.version_info.major}.{sys.version_info.minor}" == minor else None
        for candidate in (running, on_path, *map(str, installed)):
            if candidate and works(candidate):
                found[minor] = candidate
                break
    return found


def works(python: str) -> bool:
    """A version manager's shim answers for Pythons that are not there."""
    done = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False, timeout=DEADLINE)
    return done.returncode == 0


def create(folder: Path, minor: str) -> Environment:
    run([interpreters()[minor], "-m", "venv", "--without-pip", str(folder)])
    return Environment(folder=folder)


def checkout(folder: Path) -> Path:
    """A copy of the files that git tracks, and of nothing else."""
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


@cache
def tracked() -> tuple[str, ...]:
    names = run(["git", "ls-files", "-z"], cwd=ROOT).split("\0")
    return tuple(name for name in names if name and (ROOT / name).is_file())


def installed_name(name: str) -> str | None:
    """Where a tracked file belongs in an installation; None for what stays in the repository."""
    match = re.fullmatch(r"(?:backends/|comparisons/)?((?:taskbridge)(?:_\w+)?/.+)", name)
    return match.group(1) if match else None
