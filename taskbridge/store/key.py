"""An idempotency key: whose it is, and whether what it stands for has been done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

DEFAULT_KEY_TTL: Final = timedelta(days=7)
"""How long a key is kept after the job that had it has succeeded, unless the task says otherwise."""


class Key(Struct, frozen=True, kw_only=True):
    """What a claim was answered; its holder shows it to renew, complete or release the key."""

    name: str
    job: str
    """The id of the job that has it."""
    holder: str
    """The execution that has it: a name that no other execution uses."""
    token: int
    """The fencing token. Whoever gets the key next has a larger one, for ever."""
    left: timedelta
    """How long the lease lasts, or a key that is done is kept; by the clock of the store's server."""
    done_at: datetime | None = None
    """Aware. None while an execution has it."""
    skipped: int = 0
    """How many deliveries have found it done."""
    waits: int = 0
    """How often the job that asked has waited for the key."""


def waits_name(job_id: str, redrives: int, /) -> str:
    """The name of the counter of a job's waits; each life of the job has its own."""
    return f"key-waits:{job_id}:{redrives}"
