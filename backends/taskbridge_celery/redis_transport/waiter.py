"""How an idle worker learns of a message without taking it: by Redis's own tracking of keys.

A second connection subscribes; the server tells it once when one of the lists changes that the last claim has read and
found empty. Where a server has no `CLIENT TRACKING`, or does not allow it, one worker asks in short intervals.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

from redis import exceptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import ConnectionPool

logger = logging.getLogger("taskbridge.celery")

INVALIDATED: Final = "__redis__:invalidate"


class Waiter:
    """The connection that is told. `connection` is what Kombu's poller watches."""

    def __init__(self, pool: Callable[[], ConnectionPool], prefix: str) -> None:
        self._pool = pool
        self.channel_name = f"{prefix}taskbridge.wake.{uuid.uuid4().hex}"
        self.connection: Any = None
        self.is_told = False
        """Whether the server tells of changes; otherwise they have to be asked for."""
        self.is_heard = False
        """Whether other workers can wake this one."""
        self._told_of: Any = None

    def is_attached(self, claiming: Any, /) -> bool:
        """Whether changes of what `claiming` has read are told here."""
        connected = self.connection is not None and self.connection._sock is not None  # noqa: SLF001 - so does Kombu
        return connected and self._told_of is claiming._sock  # noqa: SLF001 - so does Kombu

    def attach(self, claiming: Any, /) -> None:
        """Connect, and redirect to here what the server has to tell the connection that claims.

        Raises:
            ConnectionError: from either connection.
        """
        if self.connection is None:
            self.connection = self._pool().get_connection()
        else:
            self.connection.disconnect()
            self.connection.connect()
        is_first = self._told_of is None
        self.is_told = self.is_heard = False
        try:
            number = _ask(self.connection, "CLIENT", "ID")
            _ask(self.connection, "SUBSCRIBE", self.channel_name)
            self.is_heard = True
            _ask(self.connection, "SUBSCRIBE", INVALIDATED)
            _ask(claiming, "CLIENT", "TRACKING", "OFF")
            _ask(claiming, "CLIENT", "TRACKING", "ON", "REDIRECT", number, "OPTIN", "NOLOOP")
            self.is_told = True
        except exceptions.ResponseError as error:
            if is_first:
                logger.warning("Redis has no CLIENT TRACKING for us (%s): idle workers ask for messages.", error)
        self._told_of = claiming._sock  # noqa: SLF001 - so does Kombu

    def drain(self) -> None:
        """Read what has been told; its content does not matter.

        Raises:
            ConnectionError: the connection is lost. Attach again.
        """
        while self.connection.can_read(timeout=0):
            self.connection.read_response()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.disconnect()


def _ask(connection: Any, *command: Any) -> Any:
    connection.send_command(*command)
    return connection.read_response()
