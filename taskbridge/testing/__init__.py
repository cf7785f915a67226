"""For tests: the backend that keeps jobs in this process, and the suite that every backend passes."""

from taskbridge.testing.memory import MemoryBackend

__all__ = ["MemoryBackend"]
