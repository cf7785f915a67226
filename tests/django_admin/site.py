"""A Django site on a port that the system chooses as it is opened, so that nobody else can have taken it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from taskbridge.process import Command, Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PATIENCE = timedelta(seconds=90)


@contextmanager
def serving(
    runserver: Sequence[str], log: Path, /, *, folder: Path | None = None, environment: Mapping[str, str]
) -> Iterator[str]:
    """The URL of the site that this command line serves, while the block lasts."""
    command = Command(
        argv=(*runserver, "--noreload", "--insecure", "127.0.0.1:0"),
        environment={**environment, "PYTHONUNBUFFERED": "1"},
        directory=folder,
    )
    with Process(command, log=log) as process:
        process.wait_until(lambda: _url(log) is not None, within=PATIENCE)
        url = _url(log)
        assert url is not None
        yield url


def _url(log: Path) -> str | None:
    found = re.search(r"development server at (http://127\.0\.0\.1:[1-9]\d*)", log.read_text())
    return found and found[1]
