"""The callbacks that django-tasks-rq names in its jobs."""

from __future__ import annotations

from typing import Final

SUCCEEDED: Final = "django_tasks_rq.backend.success_callback"
FAILED: Final = "django_tasks_rq.backend.failed_callback"
