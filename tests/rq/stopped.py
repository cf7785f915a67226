"""A worker that is told to stop at a moment which no test could hit from outside."""

from __future__ import annotations

import os
import signal
from typing import Any

import rq.job

from taskbridge_rq import Worker


class WhileItReads(Worker):
    """In the middle of reading the first job that it has taken."""

    def work(self, *arguments: Any, **options: Any) -> bool:
        """Work, until a job is there."""
        read = vars(rq.job)["str_to_date"]

        def interrupted(date: bytes) -> object:
            os.kill(os.getpid(), signal.SIGTERM)
            return read(date)

        vars(rq.job)["str_to_date"] = interrupted
        return super().work(*arguments, **options)
