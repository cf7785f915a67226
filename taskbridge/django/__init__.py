"""TaskBridge in a Django project: a backend for `TASKS`, and an application with checks, commands and admin pages.

Nothing is loaded before it is asked for: the application serves projects without Django's tasks framework too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskbridge.django.backend import Backend
    from taskbridge.django.keywords import options
    from taskbridge.django.task import Task

__all__ = ["Backend", "Task", "options"]

_HOME = {"Backend": "backend", "Task": "task", "options": "keywords"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
