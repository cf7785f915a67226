"""The project of `tests.django_backend` with Django's admin, which is set up as in the example."""

from __future__ import annotations

import runpy
from pathlib import Path

from tests.django_backend.settings import *  # noqa: F403 - it is the same project
from tests.django_backend.settings import INSTALLED_APPS

_example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "django_project" / "shop" / "settings.py"))

INSTALLED_APPS = [*(app for app in _example["INSTALLED_APPS"] if app.startswith("django.contrib.")), *INSTALLED_APPS]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", *_example["MIDDLEWARE"]]
TEMPLATES = _example["TEMPLATES"]
ROOT_URLCONF = "tests.django_admin.urls"
ALLOWED_HOSTS = ["127.0.0.1"]
STATIC_URL = "/static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
