"""Settings by environment: `TEST_TASKS_URL` is the engine, `TEST_DATABASE` a SQLite file or a PostgreSQL database."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit

import django

URL = os.environ["TEST_TASKS_URL"]
QUEUES = ["default", "mail"]
_database = urlsplit(os.environ["TEST_DATABASE"])
_redis = os.environ.get("TEST_REDIS")
_package = ["django_tasks"] if django.VERSION < (6, 0) or _redis else []

SECRET_KEY = "for tests only"
USE_TZ = os.environ.get("TEST_USE_TZ", "yes") == "yes"
TIME_ZONE = "Europe/Warsaw"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    *_package,
    "django_tasks_db",
    *(["django_rq", "django_tasks_rq"] if _redis else []),
    "taskbridge.django",
    "tests.django_backend.shop",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": unquote(_database.path[1:]),
        # What Django's documentation advises for a file with many writers.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
    if _database.scheme == "sqlite"
    else {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.path[1:],
        "USER": _database.username or "",
        "PASSWORD": _database.password or "",
        "HOST": _database.hostname or "",
        "PORT": _database.port or "",
    }
}
_framework = "django_tasks" if django.VERSION < (6, 0) else "django.tasks"
TASKS: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "taskbridge.django.Backend", "QUEUES": QUEUES, "OPTIONS": {"url": URL, "result_ttl": 600}},
    "Second": {"BACKEND": "taskbridge.django.Backend", "QUEUES": ["second"], "OPTIONS": {"url": URL}},
    "Any": {"BACKEND": "taskbridge.django.Backend", "QUEUES": [], "OPTIONS": {"url": URL, "result_ttl": 600}},
    "immediate": {"BACKEND": f"{_framework}.backends.immediate.ImmediateBackend", "QUEUES": []},
    "native": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": [*QUEUES, "second", "odd"]},
}
if _redis:
    TASKS["redis"] = {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": [*QUEUES, "second", "odd"]}
    RQ_QUEUES = {queue: {"URL": _redis} for queue in TASKS["redis"]["QUEUES"]}
