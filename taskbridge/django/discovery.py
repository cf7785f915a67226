"""How a process finds the tasks of a Django project."""

from __future__ import annotations

import sys
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import autodiscover_modules

from taskbridge.settings.django import BACKEND


def set_up() -> None:
    """Have Django's applications loaded, and the module `tasks` of each, if TaskBridge has a place in the project."""
    django.setup()
    if apps.is_installed("taskbridge.django") or any(
        params.get("BACKEND") == BACKEND for params in getattr(settings, "TASKS", {}).values()
    ):
        autodiscover_modules("tasks")


def has_tasks() -> bool:
    """Whether this process has loaded a framework of Django's for tasks."""
    return "django.tasks" in sys.modules or "django_tasks" in sys.modules


def find_task(path: str, /) -> Any:
    """The Django task that is declared under this path; None if no application has it.

    What is loaded is asked first, then the module `tasks` of each application is loaded: never one that a path names.
    """
    found = find(path)
    if found is None:
        autodiscover_modules("tasks")
        found = find(path)
    return found


def find(path: str, /) -> Any:
    """The Django task that is declared under this path, in a module that is loaded; None if there is none."""
    from taskbridge.django import framework  # not every project has one

    module, _, name = path.rpartition(".")
    found: Any = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return found if issubclass(type(found), framework.Task) and found.module_path == path else None
