"""A Django project without anything that this example does not need. TaskBridge's one setting is in the environment."""

from pathlib import Path

import django

SECRET_KEY = "an example, served to nobody"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The last two keep the jobs of TASKBRIDGE_URL=django+db://default; on another backend they may be left out.
INSTALLED_APPS = ["orders", *(["django_tasks"] if django.VERSION < (6, 0) else []), "django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).resolve().parent.parent / "db.sqlite3",
        # A web process and a worker write to one file: wait for each other's transactions from their beginning.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
