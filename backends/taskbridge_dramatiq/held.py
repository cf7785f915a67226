"""What a broker of ours gives to a worker, whichever server it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dramatiq.broker import MessageProxy

if TYPE_CHECKING:
    from dramatiq import Message as DramatiqMessage


class Held(MessageProxy):
    """A message that a worker holds."""

    def __init__(self, message: DramatiqMessage[Any]) -> None:
        super().__init__(message)
        self.original = message
        self.crashes = 0
        """Runs of the job that ended with the death of their worker, as known when it begins."""
