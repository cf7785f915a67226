"""What is in the wheel."""

from __future__ import annotations

import configparser
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.environments import checkout, installed_name, run, tracked

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(240), pytest.mark.xdist_group("wheel")]
# Named in pyproject.toml and still being written; to be emptied.
AWAITED = {"taskbridge_django_tasks"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    source = checkout(tmp_path_factory.mktemp("source"))
    target = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)])
    (built,) = target.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_three_roots_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected = {inside for name in tracked() if (inside := installed_name(name))}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


def test_every_root_package_in_the_wheel_is_marked_as_typed(wheel: zipfile.ZipFile) -> None:
    packages = {name.split("/")[0] for name in wheel.namelist() if name.endswith("/__init__.py")}
    assert "taskbridge" in packages
    assert {f"{package}/py.typed" for package in packages} <= set(wheel.namelist())


def test_every_entry_point_of_the_wheel_names_a_module_in_it(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    groups = configparser.ConfigParser(delimiters="=")
    groups.read_string(wheel.read(name).decode())
    modules = {value.partition(":")[0] for group in groups.sections() for value in groups[group].values()}
    files = {Path(file).with_suffix("") for file in wheel.namelist() if file.endswith(".py")}
    absent = {m for m in modules if not {Path(m.replace(".", "/")), Path(m.replace(".", "/"), "__init__")} & files}
    assert absent - AWAITED == set()


def test_the_wheel_carries_the_licence_and_no_path_of_the_machine_that_built_it(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    text = wheel.read(metadata).decode()
    assert "License-Expression: BSD-3-Clause" in text
    assert "file://" not in text
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
