"""The settings of a shop that knows nothing of TaskBridge."""

import os
from urllib.parse import unquote, urlsplit

import django

_url = urlsplit(os.environ["TEST_DATABASE"])
SECRET_KEY = "for tests only"
USE_TZ = True
INSTALLED_APPS = [*(["django_tasks"] if django.VERSION < (6, 0) else []), "django_tasks_db"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(_url.path[1:]), "OPTIONS": {"timeout": 20}}
POSTGRESQL = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": _url.path[1:],
    "USER": _url.username or "",
    "PASSWORD": _url.password or "",
    "HOST": _url.hostname or "",
    "PORT": _url.port or "",
}
DATABASES = {"default": SQLITE if _url.scheme == "sqlite" else POSTGRESQL}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "mail"]}}
