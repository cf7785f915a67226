"""Source: `apt-get install`, for root and only where the caller allowed it."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.errors import ServiceUnavailable
from taskbridge.services import system

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskbridge.services.installation import Installation
    from taskbridge.services.kind import Kind

PACKAGES: Mapping[Kind, str] = {"redis": "redis-server", "rabbitmq": "rabbitmq-server", "postgres": "postgresql"}
_POLICY = Path("/usr/sbin/policy-rc.d")
_SECONDS = 600


def possible() -> bool:
    """True for root on a machine with apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_packages(packages: Sequence[str], /, *, wanted: Sequence[str]) -> None:
    """Install packages by their Debian names, without the services that they would start.

    Raises ServiceUnavailable if that fails; it calls them what is `wanted`.
    """
    with _no_service_starts():
        _apt_get("update", wanted=wanted)
        _apt_get("install", "--yes", "--no-install-recommends", *packages, wanted=wanted)


def install(kind: Kind) -> Installation:
    """Install the package and find its programs. Raises ServiceUnavailable if either fails."""
    package = PACKAGES[kind]
    install_packages([package], wanted=[f"{kind} server"])
    found = system.find(kind)
    if found is None:
        raise ServiceUnavailable(
            f"apt-get has installed {package}, and still there is no {kind} server on this machine"
        )
    return found.from_origin("apt")


def _apt_get(*arguments: str, wanted: Sequence[str]) -> None:
    done = subprocess.run(
        ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceUnavailable(
            f"no {' or '.join(wanted)}: `apt-get {' '.join(arguments)}` failed, exit code {done.returncode}:\n"
            + "\n".join(done.stdout.splitlines()[-10:])
        )


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian starts what it installs, unless this file says no; one that is there already is left alone."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
