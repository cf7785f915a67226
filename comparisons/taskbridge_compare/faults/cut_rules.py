"""When a proxy drops bytes and resets their connection. A rule strikes once, and knows no protocol."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, Protocol

from taskbridge_compare.residual import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Way = Literal["to server", "to client"]


class Rule(Protocol):
    """Asked by a proxy for each piece of bytes, before it is forwarded."""

    def drops(self, connection: int, way: Way, data: bytes) -> bool:
        """True: this piece goes nowhere, and its connection is reset."""


class _Once:
    """`tell` is called at the moment of the cut, before the connection is reset."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self.struck = threading.Event()

    def _strike(self) -> bool:
        self._tell()
        self.struck.set()
        return True


class BeforeReply(_Once):
    """The server has what the client sent, and the client never hears of it."""

    def __init__(self, tell: Callable[[], None], *, piece: int) -> None:
        """The reply to the `piece`-th piece that goes to the server is dropped, from 1."""
        super().__init__(tell)
        self._left = piece
        self._on: int | None = None

    def drops(self, connection: int, way: Way, data: bytes) -> bool:
        """True for the first piece that comes back on the connection which took the counted one."""
        del data
        if self.struck.is_set():
            return False
        if way == "to server" and self._on is None:
            self._left -= 1
            self._on = connection if self._left == 0 else None
        return way == "to client" and connection == self._on and self._strike()


class BeforeRequest(_Once):
    """What the client sent never reaches the server."""

    def __init__(self, tell: Callable[[], None], *, piece: int) -> None:
        """The `piece`-th piece that goes to the server is dropped, from 1."""
        super().__init__(tell)
        self._left = piece

    def drops(self, connection: int, way: Way, data: bytes) -> bool:
        """True for the counted piece."""
        del connection, data
        if self.struck.is_set() or way != "to server":
            return False
        self._left -= 1
        return self._left == 0 and self._strike()


class Delivery(_Once):
    """What the server hands out never reaches the client."""

    def __init__(self, tell: Callable[[], None], *, needles: Sequence[str]) -> None:
        """The first piece to the client that holds one of `needles`, as it is or in base64, is dropped."""
        super().__init__(tell)
        self._needles = [needle.encode() for needle in needles]

    def drops(self, connection: int, way: Way, data: bytes) -> bool:
        """True for the piece that holds the needle."""
        del connection
        return way == "to client" and not self.struck.is_set() and holds(data, self._needles) and self._strike()
