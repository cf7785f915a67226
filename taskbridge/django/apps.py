"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig


class TaskBridgeConfig(AppConfig):
    """Add `"taskbridge.django"` to INSTALLED_APPS."""

    name = "taskbridge.django"
    label = "taskbridge"
    verbose_name = "TaskBridge"
    default_auto_field = "django.db.models.BigAutoField"
