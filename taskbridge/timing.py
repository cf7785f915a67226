"""When a job goes to the broker."""

from __future__ import annotations

from typing import Literal

Timing = Literal["now", "on_commit", "outbox"]
"""Within the call; after the caller's transaction has been committed; or by way of a row in the caller's database."""
