"""A statement to PostgreSQL whose answer is not waited for: it is read with the next claim's, or by `settle`.

By libpq's pipeline mode, one statement and one synchronization each, so that each is a transaction of its own.
psycopg's own pipeline waits at every synchronization.
"""

from __future__ import annotations

import select
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from psycopg.pq import ExecStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg.pq.abc import PGresult

PATIENCE_SECONDS: Final = 5.0
"""How long after its statement an answer may come that nobody waits for."""
_ANSWER_SECONDS: Final = 10.0


class _Awaited(NamedTuple):
    """An answer that is still to come, and ought to tell of one row."""

    since: float
    refused: Callable[[], object]


class PostgreSQLAhead:
    """Of one connection in autocommit, used by one thread at a time. What is settled is again as psycopg knows it.

    A connection that breaks is closed, for its owner to see.
    """

    def __init__(self, connection: psycopg.Connection[Any], /) -> None:
        self._connection = connection
        self._wire = connection.pgconn
        self._awaited: _Awaited | None = None

    def send(self, statement: str, parameters: Sequence[str | int], /, *, refused: Callable[[], object]) -> bool:
        """Send one statement that changes one row; False if that could not be done.

        `refused` is called by whoever reads the answer, unless that tells of one row, or finds that there will be none.
        """
        self.settle()
        try:
            self._send(statement, parameters)
        except BaseException as error:
            self._connection.close()
            if not isinstance(error, psycopg.Error):
                raise
            return False
        self._awaited = _Awaited(time.monotonic(), refused)
        return True

    def ask(self, statement: str, parameters: Sequence[str | int], /) -> list[list[str | None]] | None:
        """The rows that a statement gives, where an answer is awaited anyway: both take one round trip.

        None if none is, or if it went wrong: ask in the ordinary way.
        """
        return None if self._awaited is None else self._read(lambda: self._send(statement, parameters))

    def settle(self) -> None:
        """Read the answer that is awaited, if one is."""
        if self._awaited is not None:
            self._read(None)

    def _read(self, send: Callable[[], None] | None) -> list[list[str | None]] | None:
        assert self._awaited is not None
        since, refused = self._awaited
        self._awaited = None
        is_taken, rows = False, None
        try:
            if send is not None:
                send()
            is_taken = self._answer(since + PATIENCE_SECONDS).command_tuples == 1
            if send is not None:
                rows = self._rows(self._answer(time.monotonic() + _ANSWER_SECONDS))
            self._wire.exit_pipeline_mode()
        except BaseException as error:
            self._connection.close()
            if not isinstance(error, psycopg.Error):
                raise
        finally:
            if not is_taken:
                refused()
        return rows

    def _send(self, statement: str, parameters: Sequence[str | int]) -> None:
        self._wire.enter_pipeline_mode()
        values = [str(value).encode(self._encoding()) for value in parameters]
        self._wire.send_query_params(_numbered(statement).encode(), values)
        self._wire.pipeline_sync()
        while self._wire.flush():
            self._wait(select.POLLOUT, time.monotonic() + PATIENCE_SECONDS)

    def _answer(self, deadline: float) -> PGresult:
        answer, _, end = self._result(deadline), self._result(deadline), self._result(deadline)
        if answer is None or end is None or end.status != ExecStatus.PIPELINE_SYNC:
            raise psycopg.OperationalError("the connection ended before the answer")
        return answer

    def _result(self, deadline: float) -> PGresult | None:
        while self._wire.is_busy():
            self._wait(select.POLLIN, deadline)
            self._wire.consume_input()
        return self._wire.get_result()

    def _wait(self, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._wire.socket, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise psycopg.OperationalError("no answer has come")

    def _rows(self, answer: PGresult) -> list[list[str | None]] | None:
        if answer.status != ExecStatus.TUPLES_OK:
            return None
        found = [[answer.get_value(row, place) for place in range(answer.nfields)] for row in range(answer.ntuples)]
        encoding = self._encoding()
        return [[None if value is None else value.decode(encoding) for value in row] for row in found]

    def _encoding(self) -> str:
        encoding = self._connection.info.encoding
        return "utf-8" if encoding == "ascii" else encoding


@cache
def _numbered(statement: str) -> str:
    """The statement, written with `%s`, with the places that libpq fills."""
    first, *rest = statement.split("%s")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
