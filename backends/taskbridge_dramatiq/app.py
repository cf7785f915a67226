"""`dramatiq taskbridge_dramatiq.app:broker`: the backend's broker, with the application's tasks as its actors."""

from taskbridge.worker import boot
from taskbridge_dramatiq.backend import DramatiqBackend
from taskbridge_dramatiq.patches import hold_jobs_until_announced

booted = boot()
assert isinstance(booted.backend, DramatiqBackend)
broker = booted.backend.broker
hold_jobs_until_announced()
