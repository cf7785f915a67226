"""A message as it can be kept in a store or an outbox, until a backend takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from taskbridge.codec.limits import Lossy
from taskbridge.codec.plain import copy_plain

if TYPE_CHECKING:
    from taskbridge.message import Message


def portable(message: Message, /) -> Message:
    """The message, or a copy without options for its engine that have no JSON form: `restore_native` knows them."""
    if not message.native:
        return message
    try:
        copy_plain(message.native)
    except Lossy:
        return msgspec.structs.replace(message, native={})
    return message
