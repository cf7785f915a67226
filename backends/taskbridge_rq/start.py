"""What an RQ worker does once, when it imports its job class and before it forks the process of the first job."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from taskbridge_rq.job import Job

J = TypeVar("J", bound="Job")


def started(job_class: type[J], /) -> type[J]:
    """Run the start hooks, and the stop hooks at the worker's end."""
    job_class.run.start()
    if os.environ.get("DJANGO_SETTINGS_MODULE") and "django.db" in sys.modules:
        # Forked processes must not share a connection that an import or a start hook opened.
        sys.modules["django.db"].connections.close_all()
    atexit.register(job_class.run.stop)
    return job_class
