"""Celery as a TaskBridge backend, on Redis or on RabbitMQ."""

from taskbridge_celery.backend import CeleryBackend

__all__ = ["CeleryBackend"]
