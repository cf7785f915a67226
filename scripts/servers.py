"""Install the servers that the tests start, where that is ours to do: as root on Debian. Elsewhere, say nothing.

The tests look for servers themselves (see taskbridge/services) and name what is missing; this only spares root the
reading. Installing must not start anything: the tests run private processes on free ports.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")


def main() -> int:
    lacking = missing()
    if not lacking or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return 0
    sys.stderr.write(f"servers: installing {' '.join(lacking)} for the tests, once\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *lacking]):
        with nothing_starts():
            done = subprocess.run([*APT, *step], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(f"servers: `apt-get {' '.join(step)}` failed; the tests go on without:\n{done.stderr}")
            return 0
    return 0


def missing() -> list[str]:
    """The Debian packages whose server is nowhere to be found."""
    servers = {
        "redis-server": shutil.which("redis-server"),
        "rabbitmq-server": any(Path("/usr/lib/rabbitmq").glob("lib/*/sbin/rabbitmq-server"))
        or in_sbin("rabbitmq-server"),
        "postgresql": any(Path("/usr/lib/postgresql").glob("*/bin/postgres")),
    }
    return [package for package, found in servers.items() if not found]


def in_sbin(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextmanager
def nothing_starts() -> Iterator[None]:
    """Debian asks this file before it starts a service; 101 is no. A policy that is there already is left alone."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


if __name__ == "__main__":
    sys.exit(main())
