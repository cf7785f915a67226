"""The servers of the test suite: at most one of a kind for each test process, started by the first test that asks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from taskbridge import services
from taskbridge.errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.services import Kind, Server


def serve(kind: Kind) -> Iterator[Server]:
    """Give a running server, then stop it. A missing one skips the test; where CI is set it fails it."""
    try:
        server = services.start(kind)
    except ServiceUnavailable as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with server:
        yield server
