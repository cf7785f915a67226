"""Every documented way to install TaskBridge, each into a clean environment, on each Python that this machine has."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.packaging.environments import Environment, checkout, create, installed_name, interpreters, run, tracked

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
EACH_PYTHON = [minor if minor == HERE else pytest.param(minor, marks=pytest.mark.wide) for minor in interpreters()]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return checkout(tmp_path / "source")


@pytest.mark.parametrize("minor", EACH_PYTHON)
def test_pip_installs_a_plain_checkout_with_an_extra(minor: str, source: Path, tmp_path: Path) -> None:
    environment = create(tmp_path / "environment", minor)
    environment.pip_install(".[celery]", cwd=source)
    seen = environment.probe()
    assert str(seen["package"]).startswith(str(seen["prefix"]))
    assert seen["celery"] is True
    every_root_imports(environment)


@pytest.mark.parametrize("minor", EACH_PYTHON)
def test_pip_installs_a_checkout_in_place(minor: str, source: Path, tmp_path: Path) -> None:
    environment = create(tmp_path / "environment", minor)
    environment.pip_install("--editable", ".", cwd=source)
    assert environment.probe()["package"] == str(source / "taskbridge")
    every_root_imports(environment)
    (source / "taskbridge" / "added_later.py").write_text("")
    environment.ask("import taskbridge.added_later")


@pytest.mark.parametrize("minor", EACH_PYTHON)
def test_the_wheel_installs_without_its_sources(minor: str, source: Path, tmp_path: Path) -> None:
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)])
    (wheel,) = tmp_path.glob("*.whl")
    environment = create(tmp_path / "environment", minor)
    environment.pip_install(str(wheel))
    seen = environment.probe()
    assert str(seen["package"]).startswith(str(seen["prefix"]))
    assert seen["celery"] is False
    type_checks(environment)


@pytest.mark.parametrize("minor", EACH_PYTHON)
def test_uv_sync_makes_an_environment_of_its_own(minor: str, source: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    # The development group is installed once; what differs between Pythons is the project itself.
    run([uv, "sync", "--python", interpreters()[minor], *([] if minor == HERE else ["--no-dev"])], cwd=source)
    environment = Environment(folder=source / ".venv")
    assert environment.probe()["package"] == str(source / "taskbridge")
    every_root_imports(environment)
    type_checks(environment)


def every_root_imports(environment: Environment) -> None:
    """Found, not loaded: an adapter's own engine may be absent."""
    roots = {place.split("/")[0] for name in tracked() if (place := installed_name(name))}
    environment.ask(f"import importlib.util\nfor root in {sorted(roots)}: assert importlib.util.find_spec(root), root")


def type_checks(environment: Environment) -> None:
    """A type checker that looks into that environment finds our annotations there."""
    user = environment.folder / "user.py"
    user.write_text(
        "import taskbridge\nfrom taskbridge.errors import EnqueueError\n\nreveal_type(EnqueueError.__init__)\n"
    )
    argv = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--python-executable", environment.python]
    assert "maybe_accepted: bool" in run([*argv, "--config-file", "", str(user)], cwd=environment.folder)
