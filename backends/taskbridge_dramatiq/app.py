"""`dramatiq taskbridge_dramatiq.app:broker`: the backend's broker, with the application's tasks as its actors."""

from taskbridge.worker import boot
from taskbridge_dramatiq.backend import DramatiqBackend

booted = boot()
assert isinstance(booted.backend, DramatiqBackend)
broker = booted.backend.broker
