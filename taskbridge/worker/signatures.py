"""Signed messages: what was not signed with a key of ours is not run, nor are its arguments read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from taskbridge.errors import UndecodableMessage
from taskbridge.message import Dead

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")


class Signatures:
    """Answers for a message whose signature is missing or wrong, where there are signing keys."""

    def __init__(self, environment: Environment, /) -> None:
        self._keys = environment.signing_keys

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        if self._keys is None:
            return proceed(attempt)
        try:
            self._keys.check(attempt.message)
        except UndecodableMessage as error:
            logger.error("Not run: %s", error)  # noqa: TRY400 - the traceback would be ours
            return Dead(error, "not signed")
        return proceed(attempt)
