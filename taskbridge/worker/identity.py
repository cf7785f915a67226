"""The id of a worker process, as records and `django.tasks` show it."""

from __future__ import annotations

import os
import socket
from functools import lru_cache

HOST_LIMIT = 32


def worker_id() -> str:
    """The host, the process, and something that no later process of that number has; below 64 characters."""
    return _of_process(os.getpid())


@lru_cache(maxsize=1)
def _of_process(pid: int) -> str:
    return f"{socket.gethostname()[:HOST_LIMIT]}-{pid}-{os.urandom(4).hex()}"
