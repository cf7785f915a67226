"""Where settings come from: `configure(...)`, the environment, Django's `TASKS`, `[tool.taskbridge]`, the default.

The first that has something wins.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taskbridge.errors import ConfigurationError
from taskbridge.settings.model import DEFAULT, BackendSettings, Settings, build
from taskbridge.settings.suggestion import did_you_mean
from taskbridge.settings.url import BackendURL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX = "TASKBRIDGE_"
ENVIRONMENT_KEYS = ("URL", "QUEUES", "IMPORTS", "OUTBOX", "SIGNING_KEYS", "UNSIGNED")
FOREIGN_PREFIXES = ("TASKBRIDGE_TEST_", "TASKBRIDGE_PROCESS_", "TASKBRIDGE_WORKER_")
"""Variables of ours that are not settings."""


def load(configured: Settings | None, /, *, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; each alias is taken whole from the first source that names it."""
    from pathlib import Path  # a millisecond of an import that may never ask for settings

    environment = os.environ if environment is None else environment
    from taskbridge.settings.django import from_django  # at the first enqueue: an import alone needs no settings

    django = from_django(environment)
    of_django = Settings(backends=django.backends)
    sources = [configured or Settings(), from_environment(environment), of_django, from_pyproject(Path.cwd())]
    backends = {DEFAULT: embedded_default(Path.cwd())}
    for source in reversed(sources):
        backends.update(source.backends)
    queues = next((source.queues for source in sources if source.queues), (DEFAULT,))
    imports = dict.fromkeys(name for source in sources for name in source.imports)
    return Settings(
        backends={
            alias: _with_queues(backend, django.queues.get(alias), queues) for alias, backend in backends.items()
        },
        queues=queues,
        imports=tuple(imports),
        outbox=next((source.outbox for source in sources if source.outbox), ()),
        periodic={name: table for source in reversed(sources) for name, table in source.periodic.items()},
        signing_keys=next((source.signing_keys for source in sources if source.signing_keys), None),
    )


def _with_queues(
    backend: BackendSettings, of_django: tuple[str, ...] | None, of_all: tuple[str, ...]
) -> BackendSettings:
    if backend.queues:
        return backend
    return replace(backend, queues=of_django or of_all, any_queue=of_django == ())


def from_environment(environment: Mapping[str, str], /) -> Settings:
    """`TASKBRIDGE_URL`, `TASKBRIDGE_QUEUES`, `TASKBRIDGE_IMPORTS`, `TASKBRIDGE_BACKENDS__BULK__URL`.

    Raises:
        ConfigurationError: an unknown variable with our prefix, with a suggestion.
    """
    data: dict[str, Any] = {}
    backends: dict[str, dict[str, str]] = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable.startswith(FOREIGN_PREFIXES):
            continue
        key = variable.removeprefix(PREFIX)
        parts = key.split("__")
        if parts[0] == "BACKENDS" and parts[2:] in (["URL"], ["QUEUES"]):
            backends.setdefault(parts[1].lower(), {})[parts[2].lower()] = value
        elif key in ENVIRONMENT_KEYS:
            data[key.lower()] = value
        else:
            names = (*ENVIRONMENT_KEYS, "BACKENDS__ALIAS__URL", "BACKENDS__ALIAS__QUEUES")
            hint = did_you_mean(variable, [PREFIX + name for name in names])
            raise ConfigurationError(f"The environment sets {variable}, which is not known.{hint}")
    if backends:
        data["backends"] = backends
    return build(data, origin="the environment")


def from_pyproject(start: Path, /) -> Settings:
    """`[tool.taskbridge]` of the nearest `pyproject.toml`, if it has one."""
    import tomllib

    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            try:
                table = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{path} cannot be read: {error}.") from error
            return build(table.get("tool", {}).get("taskbridge", {}), origin=f"[tool.taskbridge] in {path}")
    return Settings()


def embedded_default(start: Path, /) -> BackendSettings:
    """With no setting: Huey on a file `taskbridge.db` beside the nearest `pyproject.toml` or `manage.py`."""
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() or (folder / "manage.py").is_file():
            break
    else:
        folder = start
    url = BackendURL(engine="huey", broker="sqlite", path=f"/{folder / 'taskbridge.db'}")
    return BackendSettings(target=url, origin="the embedded default")
