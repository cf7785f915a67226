"""Hold the shipped suite against one backend: a name, `rq+redis`, gets private servers; a URL is used as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from taskbridge import services  # noqa: E402 - found below the line above
from taskbridge.errors import ServiceUnavailable  # noqa: E402 - as above
from tests.conformance.backends import SERVED  # noqa: E402 - as above


def main(backend: str, *arguments: str) -> int:
    if "://" in backend:
        return suite(backend, {}, arguments)
    if backend not in SERVED:
        sys.stderr.write(f"conformance: no backend {backend!r}. Name one of {', '.join(SERVED)}, or give a URL.\n")
        return 2
    with ExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="taskbridge-conformance-"))
        try:
            url, environment = SERVED[backend].on(
                lambda kind: closing.enter_context(services.start(kind)).fresh_url(), Path(folder)
            )
        except ServiceUnavailable as missing:
            sys.stderr.write(f"conformance: {missing}\n")
            return 2
        return suite(url, environment, arguments)


def suite(url: str, environment: dict[str, str], arguments: tuple[str, ...]) -> int:
    command = [sys.executable, "-m", "pytest", "--pyargs", "taskbridge.testing.suite", "--backend", url, *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
