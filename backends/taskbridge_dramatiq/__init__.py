"""Dramatiq as a TaskBridge backend, on Redis or RabbitMQ."""

from taskbridge_dramatiq.backend import DramatiqBackend

__all__ = ["DramatiqBackend"]
