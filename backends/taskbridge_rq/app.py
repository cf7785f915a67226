"""`rq worker --job-class taskbridge_rq.app.Job`: the job class that runs the application's tasks."""

from taskbridge.worker import boot
from taskbridge_rq.backend import RQBackend
from taskbridge_rq.start import started

booted = boot()
assert isinstance(booted.backend, RQBackend)
Job = started(booted.backend.job_class)
