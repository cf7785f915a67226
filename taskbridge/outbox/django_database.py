"""Django's connection as the relay's."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, TypeVar

from django.db import connections, transaction

from taskbridge.outbox.on_django import dialect_of
from taskbridge.store.forks import unforked_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.store.database import Cursor

T = TypeVar("T")


class DjangoDatabase:
    """`connections[alias]` of the calling thread; one that was dropped is opened anew."""

    owned: Final = False

    def __init__(self, alias: str) -> None:
        self.dialect = dialect_of(alias)
        self._alias = alias

    def run(self, work: Callable[[Cursor], T], /) -> T:
        connection = connections[self._alias]
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        with unforked_on(self.dialect), contextlib.closing(connection.cursor()) as cursor:
            return work(cursor)

    def in_transaction(self, work: Callable[[Cursor], T], /) -> T:
        with unforked_on(self.dialect), transaction.atomic(using=self._alias):
            return self.run(work)

    def close(self) -> None:
        """Close the connection of this thread, if it is in nobody's transaction."""
        connection = connections[self._alias]
        if not connection.in_atomic_block:
            connection.close()
