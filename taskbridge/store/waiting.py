"""A job that waits in the store until it is due, since its backend does not hold a delay so long."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from taskbridge.message import Message

logger = logging.getLogger("taskbridge.store")

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Message).decode


class Claimed(Struct, frozen=True, kw_only=True):
    """Jobs that are due and that one process may hand over, for as long as the claim lasts."""

    backend: str
    """The alias."""
    messages: Sequence[Message]
    """In the order in which they are due."""
    tokens: dict[str, int]
    """For each id that was claimed what says that it still is."""


def to_text(message: Message) -> str:
    """The message as it is kept."""
    return _encode(message).decode()


def claimed(backend: str, rows: Iterable[tuple[str, str | bytes, int]]) -> Claimed:
    """From ids, texts and tokens; what is no message stays where it is, and is logged."""
    messages, tokens = [], {}
    for job_id, text, token in rows:
        try:
            message = _decode(text)
        except msgspec.DecodeError as error:
            logger.error("The job %.80s of %s waits in a form that cannot be read: %s", job_id, backend, error)  # noqa: TRY400 - the traceback would be ours
            continue
        tokens[job_id] = token
        messages.append(message)
    messages.sort(key=lambda message: (message.run_after is not None, message.run_after))
    return Claimed(backend=backend, messages=messages, tokens=tokens)
