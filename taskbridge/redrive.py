"""A dead letter is enqueued again, once, under the id that its job has always had."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.backend import CanReopen, TakesRaw
from taskbridge.errors import RedriveRefused, StoreUnavailable, UndecodableMessage
from taskbridge.handover import restore_native
from taskbridge.identity import new_id
from taskbridge.message import Headers
from taskbridge.router import router
from taskbridge.store import Selection

if TYPE_CHECKING:
    from taskbridge.message import Message
    from taskbridge.store import DeadLetter, Store

SPAN: Final = timedelta(minutes=1)
"""How long one redrive may take before another may try."""


def redrive(letter_id: str, store: Store, /, *, without_expiry: bool = False) -> None:
    """Enqueue the job of a letter again on the backend that gave it up; the letter is kept, with a note.

    Of many that redrive one letter at a time, one does. If the broker does not take the job, the letter stays dead.
    A process that dies between the enqueue and the note leaves a letter that may be redriven once more.

    Args:
        letter_id: the letter.
        store: where it is kept.
        without_expiry: take the job's `expires` off, without which it would not start.

    Raises:
        RedriveRefused: there is no such letter, or another redrives it, or it has been; or it cannot be enqueued again.
        EnqueueError: the broker did not take the job.
    """
    lease = store.acquire(f"redrive:{letter_id}", holder=new_id(), span=SPAN)
    if lease is None:
        raise RedriveRefused(f"{letter_id} is being redriven by somebody else at this moment.")
    try:
        letter = next(store.letters(Selection(ids=(letter_id,), state=None)), None)
        if letter is None:
            raise RedriveRefused(f"There is no dead letter {letter_id}: it was discarded, or its time has passed.")
        if letter.is_redriven:
            raise RedriveRefused(
                f"{letter_id} has been redriven at {letter.history[-1].at:%Y-%m-%d %H:%M:%S %Z} and has not died since."
            )
        now = datetime.now(UTC)
        number = letter.redrives + 1
        store.forget_cancellation(letter_id)
        if letter.message is not None:
            _enqueue(letter, _again(letter.message, number, now, without_expiry=without_expiry))
        else:
            _put_back(letter)
        store.redriven(letter_id, number=number, at=now)
        if letter.message is None:
            _bury_what_died_meanwhile(letter, store)
    finally:
        with contextlib.suppress(StoreUnavailable):
            store.release([lease])


def _bury_what_died_meanwhile(letter: DeadLetter, store: Store) -> None:
    """Bytes do not say how often they were redriven: a burial that came before the note counts as an older one."""
    found = next(store.letters(Selection(ids=(letter.id,), state=None)), None)
    if found is not None and found.buried_at != letter.buried_at:
        store.bury(found)


def _again(message: Message, number: int, now: datetime, *, without_expiry: bool) -> Message:
    keys = router.settings.signing_keys
    if keys is not None:
        try:
            keys.check(message)
        except UndecodableMessage as error:
            raise RedriveRefused(f"{error} Redriving it would sign it.") from error
    headers = message.headers or Headers()
    if headers.expires is not None and headers.expires <= now and not without_expiry:
        raise RedriveRefused(
            f"{message.id} expired at {headers.expires:%Y-%m-%d %H:%M:%S %Z} and would not start. Discard it, or "
            f"redrive it with --without-expiry."
        )
    fresh = msgspec.structs.replace(
        headers,
        attempt=1,
        crashes=0,
        redrives=number,
        redriven_at=now,
        expires=None if without_expiry else headers.expires,
    )
    again = msgspec.structs.replace(message, headers=fresh, run_after=None)
    if keys is not None:
        keys.sign(again)
    return again


def _enqueue(letter: DeadLetter, message: Message) -> None:
    backend = router.backend(letter.backend)
    restore_native([message], backend)
    if isinstance(backend, CanReopen):
        backend.reopen(message)
    else:
        backend.enqueue([message])


def _put_back(letter: DeadLetter) -> None:
    if letter.payload is None:
        raise RedriveRefused(
            f"{letter.id} was kept without its arguments, which have no JSON form. Requeue it by its engine's tools."
        )
    backend = router.backend(letter.backend)
    if not isinstance(backend, TakesRaw):
        raise RedriveRefused(
            f"{letter.id} holds bytes that are no job, and {backend.engine} does not take them back. Take them out by "
            f"taskbridge dead show {letter.id} --payload, mend them, and enqueue what they meant."
        )
    backend.put_back(letter.queue_name, letter.payload)
