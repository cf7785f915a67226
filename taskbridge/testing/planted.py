"""A backend with known bugs, to see that the suite and the comparison find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from taskbridge.errors import ConfigurationError
from taskbridge.testing.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge.message import Message
    from taskbridge.settings import BackendURL

Bug = Literal[
    "drops",
    "doubles",
    "ignores expiry",
    "inverts priority",
    "forgets metadata",
    "starts early",
    "forgets keys",
    "ignores cancellation",
    "ignores termination",
]
"""One in ten jobs is dropped, or delivered twice; the others touch every job."""

ONE_IN = 10


class PlantedBackend(MemoryBackend):
    """`planted://?bug=drops`: the memory backend with one bug."""

    engine: ClassVar[str] = "planted"
    url_options: ClassVar[Mapping[str, str]] = {"bug": f"one of: {', '.join(get_args(Bug))}"}
    wire_names: ClassVar[Literal["name", "module path"]] = "name"

    def __init__(self, url: BackendURL, *, queues: Sequence[str] = ("default",)) -> None:
        super().__init__(url, queues=queues)
        bug: Any = url.options.get("bug")
        if bug not in get_args(Bug):
            raise ConfigurationError(f"{url}: write ?bug= and one of: {', '.join(get_args(Bug))}.")
        self._bug: Bug = bug
        self._count = 0

    def enqueue(self, messages: Sequence[Message], /) -> None:
        """Raises nothing and promises too much."""
        delivered: list[Message] = []
        for message in messages:
            self._count += 1
            copies = 1
            if self._count % ONE_IN == 0:
                copies = {"drops": 0, "doubles": 2}.get(self._bug, 1)
            delivered += [self._spoiled(message)] * copies
        super().enqueue(delivered)

    def _spoiled(self, message: Message) -> Message:
        if self._bug == "inverts priority":
            message.priority = -message.priority
        if self._bug == "starts early":
            message.run_after = None
        if message.headers is not None and self._bug == "ignores expiry":
            message.headers.expires = None
        if message.headers is not None and self._bug == "forgets metadata":
            message.headers.metadata = {}
        if message.headers is not None and self._bug == "forgets keys":
            message.headers.key = ""
        if message.headers is not None and self._bug == "ignores cancellation":
            message.headers.result = message.headers.cancellable = False
        if message.headers is not None and self._bug == "ignores termination":
            message.headers.cancellable = False
        return message
