"""A Django project whose database and Redis are named by the environment, for workers in processes of their own."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

QUEUES = ["default", "ordered", "second", "third"]

_url = urlsplit(os.environ.get("TEST_DATABASE", "sqlite:///:memory:"))
_redis = os.environ.get("TEST_REDIS")
SECRET_KEY = "for tests only"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django_tasks", "django_tasks_db", *(["django_rq", "django_tasks_rq"] if _redis else [])]
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
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": QUEUES}}
if _redis:
    RQ_QUEUES = {queue: {"URL": _redis} for queue in QUEUES}
    TASKS["redis"] = {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": QUEUES}
