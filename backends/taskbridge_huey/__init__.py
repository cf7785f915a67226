"""Huey as a TaskBridge backend, on Redis or on a SQLite file."""

from taskbridge_huey.backend import HueyBackend

__all__ = ["HueyBackend"]
