"""`rq worker --job-class taskbridge_django_tasks.rq_app.Job`: the job class of a worker for Django tasks on RQ."""

from taskbridge.worker import boot
from taskbridge_django_tasks.rq import QueueBackend
from taskbridge_rq.start import started

booted = boot()
assert isinstance(booted.backend, QueueBackend)
Job = started(booted.backend.job_class)
