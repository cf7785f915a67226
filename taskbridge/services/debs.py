"""Source: Debian packages, fetched and unpacked below the user's cache folder. Needs no root and installs nothing.

Only what is missing is fetched: `apt-get --simulate install` says what that is. Redis takes 2 MB, RabbitMQ with Erlang
30 MB. Programs then run from where they lie: libraries by LD_LIBRARY_PATH, Erlang after its start scripts, which name
/usr/lib/erlang, are told their new place.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.errors import ServiceUnavailable
from taskbridge.services.apt import PACKAGES
from taskbridge.services.cache import cache_folder
from taskbridge.services.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge.services.kind import Kind

logger = logging.getLogger(__name__)

_SECONDS = 600
_ERLANG = "usr/lib/erlang"
_STATUS = Path("/var/lib/dpkg/status")
_FAMILIES: Mapping[Kind, tuple[str, ...]] = {
    "redis": ("redis",),
    "rabbitmq": ("rabbitmq", "erlang"),
    "postgres": ("postgresql",),
}
"""How the names of the packages begin that hold a kind's own programs."""
_WHERE: Mapping[Kind, Mapping[str, str]] = {
    "redis": {"redis-server": "usr/bin/redis-server"},
    "rabbitmq": {
        "rabbitmq-server": "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
        "rabbitmqctl": "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmqctl",
        "erl": f"{_ERLANG}/bin/erl",
    },
    "postgres": {"initdb": "usr/lib/postgresql/*/bin/initdb", "postgres": "usr/lib/postgresql/*/bin/postgres"},
}


def possible() -> bool:
    """True on a machine with apt and dpkg."""
    return all(shutil.which(program) for program in ("apt-get", "dpkg-deb"))


def find(kind: Kind, *, folder: Path | None = None) -> Installation | None:
    """What was unpacked before, below `folder` (the cache folder, if None)."""
    root = (folder or cache_folder()) / f"debs-{kind}"
    programs: dict[str, Path] = {}
    for name, pattern in _WHERE[kind].items():
        matches = sorted(root.glob(pattern))
        if not matches:
            return None
        programs[name] = matches[-1]
    libraries = sorted({str(library.parent) for library in root.glob("**/lib/*-linux-gnu*/*.so*")})
    path = [str(root / _ERLANG / "bin")] if kind == "rabbitmq" else []
    environment = {
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [*libraries, os.environ.get("LD_LIBRARY_PATH")])),
        "PATH": os.pathsep.join([*path, os.environ.get("PATH", os.defpath)]),
    }
    return Installation(kind=kind, origin="debs", programs=programs, environment=environment, root=root)


def fetch(kind: Kind, *, folder: Path | None = None, apt_options: Sequence[str] = ()) -> Installation:
    """Download and unpack. Raises ServiceUnavailable if that fails."""
    base = folder or cache_folder()
    with tempfile.TemporaryDirectory(prefix=f"fetch-{kind}-", dir=base) as name:
        work = Path(name)
        packages, options = _missing_packages(kind, work, apt_options)
        logger.info("fetching %d Debian packages for %s into %s", len(packages), kind, base)
        _run(["apt-get", *options, "download", *packages], kind, cwd=work)
        root = work / "root"
        for package in sorted(work.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(package), str(root)], kind, cwd=work)
        target = base / f"debs-{kind}"
        _tell_erlang_its_place(root, target)
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)
    found = find(kind, folder=folder)
    if found is None:
        raise ServiceUnavailable(f"no {kind} server: the Debian packages {' '.join(packages)} do not hold its programs")
    return found


def _missing_packages(kind: Kind, work: Path, apt_options: Sequence[str]) -> tuple[list[str], list[str]]:
    """`name=version` of each, and the options that made apt know them: where its lists are missing, with own lists.

    Where apt says that all are installed, and their programs are out of our reach all the same, they are fetched too.
    """
    simulation = ["--simulate", "install", "--no-install-recommends", PACKAGES[kind]]
    options = list(apt_options)
    try:
        answer = _run(["apt-get", *options, *simulation], kind, cwd=work)
    except ServiceUnavailable:
        (work / "lists" / "partial").mkdir(parents=True)
        (work / "cache" / "archives" / "partial").mkdir(parents=True)
        options += ["-o", f"Dir::State::Lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        _run(["apt-get", *options, "update"], kind, cwd=work)
        answer = _run(["apt-get", *options, *simulation], kind, cwd=work)
    if not (packages := _to_install(answer)):
        options += ["-o", f"Dir::State::status={_status_without(kind, work)}"]
        packages = _to_install(_run(["apt-get", *options, *simulation], kind, cwd=work))
    return packages, options


def _to_install(answer: str) -> list[str]:
    return [
        f"{match[1]}={match[2]}" for match in re.finditer(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", answer, re.MULTILINE)
    ]


def _status_without(kind: Kind, work: Path) -> Path:
    """dpkg's list of what is installed, without what holds this kind's programs."""
    own = tuple(f"Package: {beginning}" for beginning in _FAMILIES[kind])
    kept = [record for record in _STATUS.read_text().split("\n\n") if not record.startswith(own)]
    status = work / "status"
    status.write_text("\n\n".join(kept))
    return status


def _run(argv: Sequence[str], kind: Kind, *, cwd: Path) -> str:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-5:])
        raise ServiceUnavailable(
            f"no {kind} server: `{' '.join(argv)}` failed with exit code {done.returncode}:\n{end}"
        )
    return done.stdout


def _tell_erlang_its_place(root: Path, target: Path) -> None:
    for script in [*root.glob(f"{_ERLANG}/bin/*"), *root.glob(f"{_ERLANG}/erts-*/bin/*")]:
        content = script.read_bytes()
        if content.startswith(b"#!") and not script.is_symlink():
            script.write_bytes(content.replace(b"/" + _ERLANG.encode(), bytes(target / _ERLANG)))
