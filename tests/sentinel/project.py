"""A Django project whose queues lie behind Sentinel, by django-rq's own setting."""

from __future__ import annotations

import os

_password = os.environ["PAIR_PASSWORD"]
SECRET_KEY = "for tests only"
USE_TZ = True
INSTALLED_APPS = ["django_tasks", "django_rq", "django_tasks_rq"]
RQ_QUEUES = {
    "default": {
        "SENTINELS": [("127.0.0.1", int(port)) for port in os.environ["PAIR_SENTINELS"].split(",")],
        "MASTER_NAME": "shop",
        "DB": 4,
        "PASSWORD": _password,
        "SENTINEL_KWARGS": {"password": os.environ["PAIR_SENTINEL_PASSWORD"]},
        "CONNECTION_KWARGS": {"socket_connect_timeout": 2},
    }
}
TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": []}}
