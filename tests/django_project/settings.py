"""Settings by environment: `TEST_DATABASE` is `sqlite:////path` or `postgresql://user@host:port/name`."""

from __future__ import annotations

import os

import django

from tests.django_databases import databases

SECRET_KEY = "for tests only"
USE_TZ = os.environ.get("TEST_USE_TZ", "yes") == "yes"
TIME_ZONE = "Europe/Warsaw"
INSTALLED_APPS = [*(["django_tasks"] if django.VERSION < (6, 0) else []), "django_tasks_db"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = databases(os.environ["TEST_DATABASE"])
TASKS = {
    "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "ordered", "mail"]},
    "Bulk": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []},
    "immediate": {
        "BACKEND": "django_tasks.backends.immediate.ImmediateBackend"
        if django.VERSION < (6, 0)
        else "django.tasks.backends.immediate.ImmediateBackend"
    },
}
if os.environ.get("TEST_LOOP"):
    TASKS["loop"] = {"BACKEND": "taskbridge.django.Backend"}
