"""Every backend of ours passes the shipped suite, on real servers with real workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.backends import SERVED
from tests.conformance.run import run_suite

SIGNED = {"TASKBRIDGE_SIGNING_KEYS": f"k1:{'s' * 43}", "TASKBRIDGE_UNSIGNED": "accept"}
"""Each job of the suite is signed, so that a backend which changes anything that was signed would lose it."""

FEWER = dict.fromkeys(("rq+redis", "django+rq"), ("--bulk", "300"))
"""Each job of RQ is a process: a thousand cost this suite 15 s of processor. `make conformance` runs them all."""

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.services import Server


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", SERVED)
def test_a_backend_passes_the_suite(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    def fresh(kind: str) -> str:
        server: Server = request.getfixturevalue(f"{kind}_server")
        return server.fresh_url()

    url, environment = SERVED[name].on(fresh, tmp_path)
    ran = run_suite(url, tmp_path, *FEWER.get(name, ()), **SIGNED, **environment)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
