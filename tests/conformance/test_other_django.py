"""The Django that this interpreter does not have: 6, with tasks of its own, from Python 3.12 on; 5.2 before."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.conformance.backends import SERVED
from tests.conformance.run import run_suite
from tests.django_backend.test_promises import keeps_its_promises
from tests.packaging.environments import ROOT, create, interpreters

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.services import Server
    from tests.packaging.environments import Environment

FIRST_WITH_DJANGO_6 = (3, 12)
NAMES = ("django+db", "django+rq")

pytestmark = [pytest.mark.wide, pytest.mark.timeout(600), pytest.mark.xdist_group("other-django")]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment of the newest interpreter here whose Django is another than ours."""
    ours = sys.version_info[:2] >= FIRST_WITH_DJANGO_6
    others = [minor for minor in interpreters() if (tuple(map(int, minor.split("."))) >= FIRST_WITH_DJANGO_6) != ours]
    if not others:
        pytest.skip("this machine has no interpreter for the other Django: Python 3.12 or newer, or 3.11")
    environment = create(tmp_path_factory.mktemp("other"), others[-1])
    environment.pip_install("--require-hashes", "--only-binary", ":all:", "-r", str(ROOT / "requirements" / "dev.txt"))
    environment.pip_install("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    return environment


@pytest.mark.parametrize("name", NAMES)
def test_a_backend_passes_the_suite_there_too(
    name: str, other: Environment, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    def fresh(kind: str) -> str:
        server: Server = request.getfixturevalue(f"{kind}_server")
        return server.fresh_url()

    url, environment = SERVED[name].on(fresh, tmp_path, python=other.python)
    ran = run_suite(url, tmp_path, python=other.python, **environment)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


@pytest.mark.parametrize("name", ["huey+sqlite"])
def test_the_backend_for_django_keeps_its_promises_there_too(
    name: str, other: Environment, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    keeps_its_promises(name, request, tmp_path, python=other.python)
