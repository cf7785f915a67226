"""Three spellings of one model, in a stated order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.errors import ConfigurationError
from taskbridge.settings import BackendURL, Settings, build, load
from taskbridge.settings.sources import from_environment, from_pyproject
from taskbridge.testing import MemoryBackend

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "package").mkdir()
    monkeypatch.chdir(tmp_path / "package")
    return tmp_path


def shown(settings: Settings) -> dict[str, str]:
    return {alias: str(backend.target) for alias, backend in settings.backends.items()}


def test_without_settings_there_is_a_file_beside_pyproject(project: Path) -> None:
    settings = load(None, environment={})
    assert shown(settings) == {"default": f"huey+sqlite:///{project}/taskbridge.db"}
    assert settings.backends["default"].queues == ("default",)


def test_without_settings_there_is_a_file_beside_manage_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manage.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert shown(load(None, environment={})) == {"default": f"huey+sqlite:///{tmp_path}/taskbridge.db"}


def test_pyproject_sets_backends_queues_and_imports(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.taskbridge]\nurl = "rq+redis://a"\nqueues = ["x", "y"]\nimports = ["jobs"]\n'
        '[tool.taskbridge.backends.bulk]\nurl = "celery+redis://b"\nqueues = ["z"]\n'
    )
    settings = load(None, environment={})
    assert shown(settings) == {"default": "rq+redis://a", "bulk": "celery+redis://b"}
    assert settings.backends["default"].queues == ("x", "y")
    assert settings.backends["bulk"].queues == ("z",)
    assert settings.imports == ("jobs",)


def test_the_environment_wins_over_pyproject_alias_by_alias(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.taskbridge.backends]\ndefault = "rq+redis://file"\nbulk = "rq+redis://file"\n'
    )
    environment = {"TASKBRIDGE_URL": "rq+redis://environment", "TASKBRIDGE_BACKENDS__MAIL__URL": "rq+redis://mail"}
    assert shown(load(None, environment=environment)) == {
        "default": "rq+redis://environment",
        "bulk": "rq+redis://file",
        "mail": "rq+redis://mail",
    }


def test_configure_wins_over_the_environment(project: Path) -> None:
    assert project.exists()
    configured = build({"url": "rq+redis://code"}, origin="configure()")
    assert shown(load(configured, environment={"TASKBRIDGE_URL": "rq+redis://environment"})) == {
        "default": "rq+redis://code"
    }


def test_queues_may_come_from_another_source_than_the_url(project: Path) -> None:
    assert project.exists()
    environment = {"TASKBRIDGE_QUEUES": "default, mail"}
    assert load(None, environment=environment).backends["default"].queues == ("default", "mail")


def test_imports_of_all_sources_add_up(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.taskbridge]\nimports = ["a", "b"]\n')
    assert load(None, environment={"TASKBRIDGE_IMPORTS": "b,c"}).imports == ("b", "c", "a")


def test_an_unknown_variable_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match=r"TASKBRIDGE_URI.*Did you mean 'TASKBRIDGE_URL'"):
        from_environment({"TASKBRIDGE_URI": "rq+redis://x"})


def test_a_variable_of_somebody_else_is_left_alone() -> None:
    assert from_environment({"TASKBRIDGED": "1", "OTHER": "2"}) == Settings()


def test_an_unknown_key_of_pyproject_names_the_file_and_the_nearest_key(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.taskbridge]\nurls = "rq+redis://x"\n')
    with pytest.raises(ConfigurationError) as caught:
        from_pyproject(project)
    assert str(project / "pyproject.toml") in str(caught.value)
    assert "'url'" in str(caught.value)


def test_a_pyproject_that_is_no_toml_is_named(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool\n")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml cannot be read"):
        from_pyproject(project)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"backends": {"a": {"url": "memory://", "queue": ["x"]}}}, "'queues'"),
        ({"backends": {"a": {}}}, "has no url"),
        ({"backends": {"a": 7}}, "must be a URL"),
        ({"backends": "memory://"}, "table of alias"),
        ({"queues": 5}, "list of names"),
        ({"url": "memory://", "backends": {"default": "memory://"}}, "Keep one"),
    ],
)
def test_settings_of_the_wrong_kind_are_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        build(data, origin="test")


def test_a_backend_object_is_a_setting_too() -> None:
    own = MemoryBackend()
    assert build({"backends": {"mine": own}}, origin="test").backends["mine"].target is own


def test_settings_never_show_a_password(project: Path) -> None:
    assert project.exists()
    settings = load(None, environment={"TASKBRIDGE_URL": "rq+redis://u:hunter22@h?store=redis://:hunter22@h"})
    assert "hunter22" not in repr(settings)
    assert isinstance(settings.backends["default"].target, BackendURL)
