"""`rq worker --job-class taskbridge_rq.app.Job`: the job class that runs the application's tasks.

RQ imports it once, in the worker, before it forks the process of the first job.
"""

import atexit
import os
import sys

from taskbridge.worker import boot
from taskbridge_rq.backend import RQBackend

booted = boot()
assert isinstance(booted.backend, RQBackend)
Job = booted.backend.job_class
Job.run.start()
if os.environ.get("DJANGO_SETTINGS_MODULE") and "django.db" in sys.modules:
    # Forked processes must not share a connection that an import or a start hook opened.
    sys.modules["django.db"].connections.close_all()
atexit.register(Job.run.stop)
