"""A dead letter for the eye and for programs. Nothing in it reaches a terminal as a control character."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskbridge.store import Burial

if TYPE_CHECKING:
    from datetime import datetime

    from taskbridge.store import DeadLetter

LINE_LIMIT: Final = 100
"""Characters of an error that a line of the list shows."""
PAYLOAD_LIMIT: Final = 2_000
"""Bytes of a payload that a page shows."""


def as_line(letter: DeadLetter, /, *, has_arguments: bool) -> str:
    """One line of the list."""
    error = f"{letter.error.exception_class_path}: {letter.error.message}"
    words = [_at(letter.buried_at), letter.id, letter.task or "-", letter.queue_name, f"[{letter.reason}]"]
    if letter.is_redriven:
        words.append(f"[redriven {letter.redrives}]")
    words.append(error if len(error) <= LINE_LIMIT else f"{error[:LINE_LIMIT]}...")
    if has_arguments:
        words.append(_call(letter))
    return printable(" ".join(words))


def as_page(letter: DeadLetter, /, *, has_arguments: bool) -> str:
    """All that is kept."""
    lines = [
        f"id: {letter.id}",
        f"task: {letter.task or '-'}",
        f"queue: {letter.queue_name}",
        f"backend: {letter.backend}",
        f"reason: {letter.reason}",
        f"died: {_at(letter.buried_at)}, after {letter.attempts} attempts and {letter.crashes} crashes",
        f"kept until: {_at(letter.expires_at)}",
        f"state: {f'redriven {letter.redrives}' if letter.is_redriven else 'dead'}",
    ]
    if letter.message is not None and letter.message.headers is not None:
        lines.append(f"metadata: {json.dumps(letter.message.headers.metadata)}")
    if has_arguments:
        lines.append(_call(letter))
    lines.append("history:")
    for event in letter.history:
        if isinstance(event, Burial):
            lines.append(f"  {_at(event.at)} died, {event.reason}, attempt {event.attempts}: {event.error}")
        else:
            lines.append(f"  {_at(event.at)} redriven for the {event.number}. time")
    # A traceback's own lines are lines.
    trace = letter.error.traceback or f"{letter.error.exception_class_path}: {letter.error.message}"
    return "\n".join([*map(printable, lines), *map(printable, trace.splitlines())])


def as_data(letter: DeadLetter, /, *, has_arguments: bool, has_details: bool = False) -> dict[str, Any]:
    """The same for programs, as plain JSON values."""
    data: dict[str, Any] = msgspec.to_builtins(letter)
    data["state"] = "redriven" if letter.is_redriven else "dead"
    data["is_raw"] = letter.payload is not None
    payload, message = data.pop("payload"), data.pop("message")
    if not has_details:
        del data["history"], data["error"]["traceback"]
    headers = (message or {}).get("headers") or {}
    data["metadata"] = headers.get("metadata", {})
    if has_arguments:
        data["args"] = message and message["args"]
        data["kwargs"] = message and message["kwargs"]
        data["payload"] = payload if payload is None else b64encode(letter.payload or b"").decode()
    return data


def printable(text: str, /) -> str:
    """The text with each character that is not for showing written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _call(letter: DeadLetter) -> str:
    if letter.message is not None:
        return f"arguments: {json.dumps([letter.message.args, letter.message.kwargs], ensure_ascii=False)}"
    if letter.payload is None:
        return "arguments: not kept, since they have no JSON form"
    shown = letter.payload[:PAYLOAD_LIMIT]
    more = f" and {len(letter.payload) - PAYLOAD_LIMIT} bytes more" if len(letter.payload) > PAYLOAD_LIMIT else ""
    return f"payload: {shown!r}{more}"


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
