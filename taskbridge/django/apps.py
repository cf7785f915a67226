"""The Django application."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks


class TaskBridgeConfig(AppConfig):
    """Add `"taskbridge.django"` to INSTALLED_APPS."""

    name = "taskbridge.django"
    label = "taskbridge"
    verbose_name = "TaskBridge"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have the tasks of all applications checked by `manage.py check`."""
        checks.register(_check)


def _check(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    from taskbridge.django import discovery

    discovery.set_up()
    if app_configs is not None or not discovery.has_tasks():
        return []
    from taskbridge.django.checks import project_findings

    return list(project_findings())
