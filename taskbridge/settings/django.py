"""Django's `TASKS` as a spelling of the settings: each alias whose BACKEND is `taskbridge.django.Backend`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from taskbridge.errors import ConfigurationError
from taskbridge.settings.model import DEFAULT, BackendSettings, words
from taskbridge.settings.url import parse_url

if TYPE_CHECKING:
    from taskbridge.settings.url import BackendURL

BACKEND: Final = "taskbridge.django.Backend"
VARIABLE: Final = "DJANGO_SETTINGS_MODULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class DjangoTasks:
    """What `TASKS` says of our aliases."""

    backends: Mapping[str, BackendSettings] = field(default_factory=dict)
    """Those whose OPTIONS have a `url`."""
    queues: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The QUEUES of all: another source may have the URL. Empty: a job may name any queue."""


def from_django(environment: Mapping[str, str], /) -> DjangoTasks:
    """The aliases of the Django project that this process belongs to, if it does.

    Raises:
        ConfigurationError: OPTIONS or QUEUES cannot work.
    """
    tables = _tasks(environment)
    backends, queues = {}, {}
    for alias, params in tables.items():
        if not isinstance(params, Mapping) or params.get("BACKEND") != BACKEND:
            continue
        queues[alias] = words(params.get("QUEUES", (DEFAULT,)), f"QUEUES of TASKS[{alias!r}]", "Django's settings")
        url = _url(alias, params.get("OPTIONS", {}))
        if url is not None:
            backends[alias] = BackendSettings(target=url, origin=f"TASKS[{alias!r}]")
    return DjangoTasks(backends=backends, queues=queues)


def _tasks(environment: Mapping[str, str]) -> Mapping[str, Any]:
    module = environment.get(VARIABLE)
    conf: Any = sys.modules.get("django.conf")
    if conf is None and not module:
        return {}
    try:
        conf = conf or importlib.import_module("django.conf")
        if not module and not conf.settings.configured:
            return {}
        tasks = getattr(conf.settings, "TASKS", {})
    except ModuleNotFoundError as error:
        # The variable is left over from elsewhere, where there is no Django, or not this project.
        if error.name != "django" and not f"{module}.".startswith(f"{error.name}."):
            raise
        return {}
    return tasks if isinstance(tasks, Mapping) else {}


def _url(alias: str, options: Any) -> BackendURL | None:
    where = f"OPTIONS of TASKS[{alias!r}]"
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{where} must be a dictionary, not {options!r}.")
    others = {key: _text(value) for key, value in options.items() if key != "url"}
    text = options.get("url")
    if text is None:
        if others:
            raise ConfigurationError(f"{where} name {', '.join(sorted(others))} and no url, to which they belong.")
        return None
    if not isinstance(text, str):
        raise ConfigurationError(f"{where}: the url must be a string.")
    url = parse_url(text)
    doubled = sorted(others.keys() & url.options.keys())
    if doubled:
        raise ConfigurationError(f"{where} say {', '.join(doubled)} twice: beside the url and in its query. Keep one.")
    return url.with_options(**others)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(int(value.total_seconds())) if isinstance(value, timedelta) else str(value)
