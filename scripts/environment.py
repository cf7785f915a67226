"""Make the virtual environment that `make` works in, with Python's standard library alone.

    python3 scripts/environment.py {compare,dev} [--venv .venv]

Installs exactly what requirements/<set>.txt pins, by hash, then this project, editable. Costs a tenth of a second when
nothing has changed. Where Python comes without pip (Debian keeps it in a package of its own) it finds one, or says what
to run.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# Of an environment's Python, the one below: it stays when the environment is made anew.
BASE = Path(sys.executable).resolve()
NEWER = ("python3.13", "python3.12", "python3.14", "python3.11")


class CannotPrepare(Exception):
    """The environment cannot be made; the message says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the virtual environment that `make` works in.")
    parser.add_argument("set", choices=("compare", "dev"))
    parser.add_argument("--venv", default=".venv", help="where it lies, from the top of the checkout")
    arguments = parser.parse_args()
    if sys.version_info < OLDEST:
        return with_a_newer_python()
    try:
        with (ROOT / "pyproject.toml").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once build one environment
            prepare(ROOT / arguments.venv, arguments.set)
    except CannotPrepare as refusal:
        sys.stderr.write(f"environment: {refusal}\n")
        return 1
    return 0


def with_a_newer_python() -> int:
    for name in NEWER:
        found = shutil.which(name)
        if found and runs(Path(found)):  # a version manager's shim may be there without its Python
            return subprocess.call([found, *sys.argv])
    running = ".".join(map(str, sys.version_info[:2]))
    sys.stderr.write(
        f"environment: TaskBridge needs Python 3.11 or newer; {sys.executable} is {running} and no newer one is on "
        "PATH. Install one and name it: make PYTHON=/path/to/python3.13 ...\n"
    )
    return 1


def prepare(venv: Path, wanted: str) -> None:
    """Bring `venv` to where its stamp says it is, by the shortest way: do nothing, add to it, or make it anew."""
    stamp = venv / "taskbridge-environment.json"
    have = read(stamp)
    chosen = "dev" if have.get("set") == "dev" else wanted  # dev holds all of compare
    want = {
        "python": f"{BASE} {sys.version_info.major}.{sys.version_info.minor}",
        "set": chosen,
        "requirements": pins(chosen),
        "project": digest(metadata() + str(ROOT)),
    }
    python = venv / "bin" / "python"
    if have == want and python.exists():
        return
    stamp.unlink(missing_ok=True)  # what is interrupted from here on is not taken for finished
    if have and (have["python"] != want["python"] or have["requirements"] != pins(have["set"])):
        shutil.rmtree(venv)
        have = {}
    if not runs(python):
        say(f"making {venv.name} with {BASE}")
        create(venv)
    pip = pip_for(venv)
    if have.get("set") != chosen:
        say(f"installing requirements/{chosen}.txt, once (about a minute)")
        # The pins are complete, so nothing is to be resolved; and several processes compile sooner than one.
        listed = ["--requirement", str(ROOT / "requirements" / f"{chosen}.txt")]
        install(pip, "--no-compile", "--no-deps", "--require-hashes", *listed)
        compile_below(python, venv / "lib")
    install(pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    stamp.write_text(json.dumps(want, indent=1) + "\n")


def read(stamp: Path) -> dict[str, str]:
    try:
        return dict(json.loads(stamp.read_text()))
    except (OSError, ValueError):
        return {}


def pins(name: str) -> str:
    return digest((ROOT / "requirements" / f"{name}.txt").read_text())


def metadata() -> str:
    """What an installed distribution copies from pyproject.toml: its own editing must reinstall, a lint rule's not."""
    import tomllib  # Python 3.11: only known to be there once main() has looked

    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    built = document["tool"]["hatch"]
    return json.dumps([document["build-system"], document["project"], built], sort_keys=True)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def runs(python: Path) -> bool:
    probe = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    return (
        python.exists() and subprocess.run([str(python), "-c", probe], capture_output=True, check=False).returncode == 0
    )


def create(venv: Path) -> None:
    argv = [str(BASE), "-m", "venv", "--clear", "--without-pip", str(venv)]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    if made.returncode:
        raise CannotPrepare(f"`{' '.join(argv)}` failed:\n{made.stdout}{made.stderr}")


def install(pip: list[str], *arguments: str) -> None:
    argv = [*pip, "install", "--quiet", *arguments]
    # PIP_USER: a user's `user = true` would refuse to install into an environment.
    environment = {
        **os.environ,
        "PIP_USER": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotPrepare(
            f"pip failed: {' '.join(argv)}\n{done.stdout}{done.stderr}"
            "It needs a package index: the default one over the network, or one named in pip's own configuration."
        )


def compile_below(python: Path, folder: Path) -> None:
    """Write the bytecode of all modules; those that are templates or for another Python stay as they are."""
    argv = [str(python), "-m", "compileall", "-qq", "-j", "0", str(folder)]
    subprocess.run(argv, capture_output=True, check=False)


def pip_for(venv: Path) -> list[str]:
    """Argv of a pip that installs into `venv`: its own, this Python's, a wheel of pip on this machine, or Debian's."""
    python = str(venv / "bin" / "python")
    if importlib.util.find_spec("ensurepip") and not answers([python, "-m", "pip"]):
        subprocess.run([python, "-m", "ensurepip", "--default-pip"], capture_output=True, check=False)
    if answers([python, "-m", "pip"]):
        return [python, "-m", "pip"]
    of_wheels = ([str(BASE), str(wheel / "pip")] for wheel in chain(wheels(), debian(venv)))
    for candidate in chain([[str(BASE), "-m", "pip"]], of_wheels):
        if answers([*candidate, "--python", python]):  # pip 22.3 or newer
            return [*candidate, "--python", python]
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    raise CannotPrepare(
        f"{BASE} has neither pip nor ensurepip, so nothing can be installed into {venv.name}. "
        f"Debian and Ubuntu: sudo apt-get install {minor}-venv. Elsewhere: your system's package of pip. "
        "Then repeat the command."
    )


def answers(pip: list[str]) -> bool:
    return subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0


def wheels(folder: Path = Path("/usr/share/python-wheels")) -> list[Path]:
    return sorted(folder.glob("pip-*.whl"), reverse=True)


def debian(venv: Path) -> Iterator[Path]:
    """Fetch Debian's wheel of pip and unpack it beside the environment, which needs no root."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return
    say("this Python has no pip: fetching Debian's")
    folder = venv / "debian"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("lists/partial", "cache/archives/partial", "unpacked"):
        (folder / name).mkdir(parents=True)
    apt = ["apt-get", "-qq", "-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
    for step in ([*apt, "update"], [*apt, "download", "python3-pip-whl"]):
        if subprocess.run(step, cwd=folder, capture_output=True, check=False, timeout=120).returncode:
            return
    for package in folder.glob("python3-pip-whl_*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "unpacked")], check=True)
    yield from wheels(folder / "unpacked/usr/share/python-wheels")


def say(words: str) -> None:
    sys.stderr.write(f"environment: {words}\n")


if __name__ == "__main__":
    sys.exit(main())
