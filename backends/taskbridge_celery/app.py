"""`celery -A taskbridge_celery.app:app worker`: the Celery app with the application's tasks."""

from taskbridge.worker import boot
from taskbridge_celery.backend import CeleryBackend
from taskbridge_celery.patches import leave_no_temporary_folder

booted = boot()
assert isinstance(booted.backend, CeleryBackend)
app = booted.backend.app
leave_no_temporary_folder()
