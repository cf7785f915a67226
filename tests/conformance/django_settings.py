"""A Django project whose database and Redis are named by the environment, for workers in processes of their own."""

from __future__ import annotations

import os

from tests.django_databases import databases

QUEUES = ["default", "ordered", "second", "third"]

_redis = os.environ.get("TEST_REDIS")
SECRET_KEY = "for tests only"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django_tasks", "django_tasks_db", *(["django_rq", "django_tasks_rq"] if _redis else [])]
DATABASES = databases(os.environ.get("TEST_DATABASE", "sqlite:///:memory:"))
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": QUEUES}}
if _redis:
    RQ_QUEUES = {queue: {"URL": _redis} for queue in QUEUES}
    TASKS["redis"] = {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": QUEUES}
