"""Settings of a Django project whose tasks run on django-tasks-rq, on the Redis that the environment names."""

import os

SECRET_KEY = "for tests only"
USE_TZ = True
INSTALLED_APPS = ["django_tasks", "django_rq", "django_tasks_rq"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
RQ_QUEUES = {
    name: {"URL": os.environ.get("SHOP_REDIS", "redis://localhost")} for name in ("default", "ordered", "mail")
}
TASKS = {
    "default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": ["default", "ordered", "mail"]},
    "immediate": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"},
}
if os.environ.get("SHOP_LOOP"):
    TASKS["loop"] = {"BACKEND": "taskbridge.django.Backend"}
