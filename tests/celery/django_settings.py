"""The least that Django asks for."""

import os

SECRET_KEY = "for tests"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DJANGO_TEST_DATABASE", ""),
        "CONN_MAX_AGE": None,
    }
}
