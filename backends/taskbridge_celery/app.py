"""`celery -A taskbridge_celery.app:app worker`: the Celery app with the application's tasks."""

from taskbridge.worker import boot
from taskbridge_celery.backend import CeleryBackend

booted = boot()
assert isinstance(booted.backend, CeleryBackend)
app = booted.backend.app
