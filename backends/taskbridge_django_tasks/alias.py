"""The `TASKS` alias that a URL names: found, and held against what the URL says of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import django
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from taskbridge.errors import ConfigurationError
from taskbridge.settings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge.settings import BackendURL

NAME_LIMIT = 32
"""Characters that the table of django-tasks-db has for the names of a queue and of an alias."""


def set_up_django(url: BackendURL, /) -> None:
    """Have Django's settings and applications loaded.

    Raises:
        ConfigurationError: nothing says where the settings are.
    """
    if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        raise ConfigurationError(
            f"{url} is an alias in Django's TASKS, and DJANGO_SETTINGS_MODULE does not say where the settings are. Set "
            f"it, for example: export DJANGO_SETTINGS_MODULE=project.settings"
        )
    if apps.ready:
        return
    try:
        django.setup()
    except ImportError as error:
        module = os.environ.get("DJANGO_SETTINGS_MODULE")
        raise ConfigurationError(
            f"{url}: Django could not be set up with DJANGO_SETTINGS_MODULE={module}: {error}. Run from the project's "
            f"folder, or install the project."
        ) from error
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"{url}: Django could not be set up: {error}") from error


def find_alias(url: BackendURL, aliases: Mapping[str, Any], backend: str, /) -> str:
    """The alias, as the settings spell it: in a URL, upper and lower case are one.

    `backend` is the dotted path of the native backend that the URL's scheme stands for.

    Raises:
        ConfigurationError: the URL names no alias, or one on another backend.
    """
    asked = url.host or ""
    if not asked or url.path.strip("/") or url.username or url.port:
        raise ConfigurationError(f"{url}: write {url.scheme}://ALIAS, with ALIAS from TASKS and nothing else.")
    found = [alias for alias in aliases if alias.lower() == asked]
    if len(found) != 1:
        why = "several aliases differ in nothing but case" if found else "there is no such alias"
        raise ConfigurationError(
            f"{url}: {why} in TASKS, which has {', '.join(sorted(aliases))}.{did_you_mean(asked, aliases)}"
        )
    _check_backend(url, found[0], str(aliases[found[0]].get("BACKEND")), backend)
    return found[0]


def check_queues(url: BackendURL, alias: str, known: set[str], asked: Sequence[str], /) -> None:
    """Refuse queues that the alias does not have; an alias with an empty QUEUES has all.

    Raises:
        ConfigurationError: naming the nearest.
    """
    for queue in asked:
        if known and queue not in known:
            raise ConfigurationError(
                f"{url}: TASKS[{alias!r}] has no queue {queue!r}, only {', '.join(sorted(known))}."
                f"{did_you_mean(queue, known)} Name it in QUEUES there, or take it out of TaskBridge's `queues`."
            )


def _check_backend(url: BackendURL, alias: str, path: str, expected: str) -> None:
    loop = ConfigurationError(
        f"{url}: TASKS[{alias!r}] is TaskBridge itself ({path}), so that a job would go round in a circle. Name an "
        f"alias whose BACKEND is {expected}."
    )
    if path.startswith("taskbridge."):
        raise loop
    try:
        cls = import_string(path)
    except ImportError as error:
        raise ConfigurationError(f"{url}: the BACKEND of TASKS[{alias!r}], {path!r}, is not found: {error}") from error
    if any(base.__module__.startswith("taskbridge.") for base in cls.__mro__):
        raise loop
    if not issubclass(cls, import_string(expected)):
        raise ConfigurationError(
            f"{url}: the scheme {url.scheme} stands for {expected}, but the BACKEND of TASKS[{alias!r}] is {path}. "
            f"Name another alias, or write the scheme of that backend."
        )
