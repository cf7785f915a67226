"""A job whose hash cannot be read, as the bytes of a dead letter, and the way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskbridge.errors import EnqueueError
from taskbridge_rq.scripts import CRASHES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.typing import FieldT

OF_ONE_RUN: Final = frozenset(
    {"status", "enqueued_at", "started_at", "ended_at", "last_heartbeat", "worker_name", "exc_info", CRASHES}
)
"""Fields that say how far a job has come: without them the same job is the same bytes at each of its deaths."""


def raw(job_id: str, fields: Mapping[bytes, bytes], /) -> bytes:
    """JSON with the job's id and the fields of its hash, whatever bytes they hold."""
    texts = {_text(name): _text(value) for name, value in fields.items()}
    kept = {name: value for name, value in texts.items() if name not in OF_ONE_RUN}
    return json.dumps({"id": job_id, "hash": kept}, sort_keys=True).encode()


def unraw(payload: bytes, /) -> tuple[str, dict[FieldT, FieldT]]:
    """Id and fields of what `raw` made.

    Raises:
        EnqueueError: it is something else.
    """
    try:
        kept = json.loads(payload)
        return str(kept["id"]), {_bytes(name): _bytes(value) for name, value in kept["hash"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise EnqueueError(f"These bytes are no RQ job that was kept: {error!r}", maybe_accepted=False) from error


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
