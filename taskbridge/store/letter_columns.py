"""A dead letter as flat columns, alike in every store: text, and whole numbers."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.message import Message
from taskbridge.store.columns import limited, microseconds, moment, storable
from taskbridge.store.letter import Burial, DeadLetter, Redrive
from taskbridge.store.record import TaskError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from taskbridge.store.columns import Columns

NAMES: Final = (
    "id",
    "task",
    "queue_name",
    "backend",
    "reason",
    "buried_at",
    "error",
    "attempts",
    "crashes",
    "message",
    "payload",
    "life",
    "redrives",
    "history",
    "expires_at",
)
HISTORY_LIMIT: Final = 64_000
"""Characters of a letter's history, beyond which burials are not added to it."""
LINE_LIMIT: Final = 300
"""Characters of an error that one line of the history keeps."""

_encode: Final = msgspec.json.Encoder().encode
_message: Final = msgspec.json.Decoder(Message)
_error: Final = msgspec.json.Decoder(TaskError)
_event: Final = msgspec.json.Decoder(Burial | Redrive)


def of_letter(letter: DeadLetter) -> Columns:
    """The columns of a letter that is to be buried; `history` holds this burial alone."""
    error = limited(letter.error)
    line = Burial(
        at=letter.buried_at,
        reason=letter.reason,
        attempts=letter.attempts,
        crashes=letter.crashes,
        error=f"{error.exception_class_path}: {error.message}"[:LINE_LIMIT],
    )
    return {
        "id": letter.id,
        "task": _name(letter.task),
        "queue_name": _name(letter.queue_name),
        "backend": letter.backend,
        "reason": letter.reason,
        "buried_at": microseconds(letter.buried_at),
        "error": _text(error),
        "attempts": letter.attempts,
        "crashes": letter.crashes,
        "message": None if letter.message is None else _text(letter.message),
        "payload": None if letter.payload is None else b64encode(letter.payload).decode(),
        "life": letter.life,
        "redrives": max(letter.redrives, letter.life),
        "history": _text(line) + "\n",
        "expires_at": microseconds(letter.expires_at),
    }


def redrive_line(*, number: int, at: datetime) -> str:
    """What is added to the history when a letter is redriven."""
    return _text(Redrive(at=at, number=number)) + "\n"


def to_letter(columns: Mapping[str, str | int | None]) -> DeadLetter:
    """The letter that these columns hold."""
    message, payload = columns["message"], columns["payload"]
    # A write whose answer was lost is repeated: the same line twice is one event, since each carries its time.
    lines = dict.fromkeys(str(columns["history"] or "").split("\n"))
    return DeadLetter(
        id=str(columns["id"]),
        task=str(columns["task"]),
        queue_name=str(columns["queue_name"]),
        backend=str(columns["backend"]),
        reason=str(columns["reason"]),
        buried_at=moment(int(columns["buried_at"] or 0)),
        error=_error.decode(str(columns["error"])),
        attempts=int(columns["attempts"] or 0),
        crashes=int(columns["crashes"] or 0),
        message=None if message is None else _message.decode(str(message)),
        payload=None if payload is None else b64decode(str(payload)),
        life=int(columns["life"] or 0),
        redrives=int(columns["redrives"] or 0),
        history=tuple(_event.decode(line) for line in lines if line),
        expires_at=moment(int(columns["expires_at"] or 0)),
    )


def _name(text: str) -> str:
    # PostgreSQL has no NUL in text; in the JSON columns it is escaped.
    return storable(text).replace("\x00", "\\x00")


def _text(value: object) -> str:
    return _encode(value).decode()
