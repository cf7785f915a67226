"""From what has died to a dead letter in the store."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.codec.limits import Lossy
from taskbridge.codec.plain import copy_plain
from taskbridge.store import DeadLetter, TaskError

if TYPE_CHECKING:
    from taskbridge.message import Dead, Message, Parked
    from taskbridge.worker.attempt import Environment

logger = logging.getLogger("taskbridge.dead")

ID_LIMIT: Final = 200
"""Characters of a job's id that a letter takes over; a longer one, which is no engine's, is replaced by a digest."""


class Burial:
    """Writes dead letters. Whatever the store does, the worker goes on: it is logged, and the answer is False."""

    def __init__(self, environment: Environment, /) -> None:
        self._alias = environment.alias
        self._ttl = environment.dead_ttl
        self._open_store = environment.open_store

    def job(
        self,
        message: Message,
        dead: Dead,
        /,
        *,
        task: str,
        attempt: int,
        crashes: int = 0,
        payload: bytes | None = None,
    ) -> bool:
        """Keep a job with all that is needed to enqueue it again. `task` is the name that a reader knows.

        `payload` is kept instead of a message that has no JSON form.
        """
        kept = _portable(message)
        if kept is None and payload is None:
            logger.error("The arguments of the dead job %r have no JSON form and are not kept with it.", message.id)
        now = datetime.now(UTC)
        headers = message.headers
        return self._bury(
            DeadLetter(
                id=_letter_id(message.id),
                task=task,
                queue_name=message.queue_name,
                backend=self._alias,
                reason=dead.reason,
                buried_at=now,
                error=TaskError.of(dead.error, attempt=attempt, at=now),
                attempts=attempt,
                crashes=crashes,
                message=kept,
                payload=payload if kept is None else None,
                life=headers.redrives if headers is not None else 0,
                expires_at=now + self._ttl,
            )
        )

    def payload(self, payload: bytes, /, *, queue_name: str, reason: Parked, error: Exception) -> bool:
        """Keep bytes that cannot become a job. The same bytes of the same queue are one letter, however often."""
        now = datetime.now(UTC)
        place = f"{self._alias}\0{queue_name}\0".encode("utf-8", "backslashreplace")
        return self._bury(
            DeadLetter(
                id=_digest(place + payload),
                task="",
                queue_name=queue_name,
                backend=self._alias,
                reason=reason,
                buried_at=now,
                error=TaskError.of(error, attempt=1, at=now),
                payload=payload,
                expires_at=now + self._ttl,
            )
        )

    def _bury(self, letter: DeadLetter) -> bool:
        try:
            store = self._open_store() if self._ttl else None
            if store is None:
                why = "this backend has no store" if self._ttl else "dead_ttl is 0"
                logger.error("Dead (%s) and kept by its engine alone: %s.", letter.reason, why)
                return False
            store.bury(letter)
        except Exception:
            logger.exception("Dead (%s) and kept by its engine alone: the store did not take it.", letter.reason)
            return False
        logger.error("Dead (%s): taskbridge dead show %s", letter.reason, letter.id)
        return True


def _portable(message: Message) -> Message | None:
    # Legacy code may send through pickle what JSON does not keep.
    try:
        args, kwargs = copy_plain(list(message.args)), copy_plain(message.kwargs)
        kept = msgspec.structs.replace(message, args=args, kwargs=kwargs, native={})
        msgspec.json.encode(kept)
    except (Lossy, TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        return None
    return kept


def _letter_id(job_id: str) -> str:
    if 0 < len(job_id) <= ID_LIMIT and job_id.isprintable():
        return job_id
    return _digest(job_id.encode("utf-8", "backslashreplace"))


def _digest(content: bytes) -> str:
    return f"raw-{hashlib.sha256(content).hexdigest()[:32]}"
