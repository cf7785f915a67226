"""Django tasks as a TaskBridge backend: a `TASKS` alias of Django's settings, on its own native backend."""

from taskbridge_django_tasks.backend import DjangoBackend

__all__ = ["DjangoBackend"]
