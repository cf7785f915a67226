"""Whatever lies on the broker is a `Message` or is refused: no crash, no import, no long wait."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

import pytest

from taskbridge.errors import UndecodableMessage
from taskbridge.message import Message
from tests.hostile.decoders import DECODERS
from tests.hostile.mutations import damaged

MUTATIONS: Final = int(os.environ.get("TASKBRIDGE_TEST_MUTATIONS", "5000"))
"""For each decoder; `make hostile` takes 100,000."""
LONGEST: Final = 1.0
"""Seconds for one message, on a machine that others use too."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", DECODERS)
def test_a_damaged_message_is_read_or_refused(engine: str) -> None:
    decoder = DECODERS[engine]
    for original in decoder.originals:
        assert isinstance(decoder.read(original), Message), "what is not damaged is read"
    modules = set(sys.modules)
    read = refused = 0
    for data in damaged(decoder.originals, MUTATIONS, seed=20261121):
        begin = time.process_time()
        try:
            message = decoder.read(data)
        except Exception as error:
            if not isinstance(error, (UndecodableMessage, *decoder.handled)):
                error.add_note(f"while reading {data!r:.3000}")
                raise
            refused += 1
        else:
            read += 1
            assert isinstance(message.args, list)
            assert isinstance(message.kwargs, dict)
            assert isinstance(message.id, str), data
            assert isinstance(message.task, str), data
        assert time.process_time() - begin < LONGEST, data
    assert min(read, refused) > MUTATIONS / 50, "the damage must be such as matters, and such as does not"
    imported = {name for name in set(sys.modules) - modules if not name.startswith("encodings.")}
    assert not imported, "nothing that a message names is imported"
