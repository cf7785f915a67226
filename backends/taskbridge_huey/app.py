"""`huey_consumer taskbridge_huey.app.huey`: the Huey of one queue, with the application's tasks."""

from taskbridge.worker import boot
from taskbridge_huey.backend import HueyBackend

booted = boot()
assert isinstance(booted.backend, HueyBackend)
huey = booted.backend.instance(booted.queues[0])
