"""Settings by environment: `TEST_DATABASE` is `sqlite:////path` or `postgresql://user@host:port/name`."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

import django

_url = urlsplit(os.environ["TEST_DATABASE"])
SECRET_KEY = "for tests only"
USE_TZ = os.environ.get("TEST_USE_TZ", "yes") == "yes"
TIME_ZONE = "Europe/Warsaw"
INSTALLED_APPS = [*(["django_tasks"] if django.VERSION < (6, 0) else []), "django_tasks_db"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": unquote(_url.path[1:]),
        # What Django's documentation advises for a file with many writers.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
    if _url.scheme == "sqlite"
    else {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path[1:],
        "USER": _url.username or "",
        "PASSWORD": _url.password or "",
        "HOST": _url.hostname or "",
        "PORT": _url.port or "",
    }
}
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
