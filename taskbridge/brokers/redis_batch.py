"""Many commands for Redis at once, packed here: redis-py copies a command anew for each of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from redis.exceptions import DataError

from taskbridge.brokers.redis import reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import ConnectionPool

Value: TypeAlias = bytes | str | int | float

_SHORT: Final = 40
"""Octets of a text that may come again in the same batch."""
_PIECE: Final = 1 << 17
"""Octets that are given to the socket at once."""


def transact(pool: ConnectionPool, commands: Sequence[Sequence[Value]], /) -> list[Any]:
    """The replies to commands that are done together or not at all, in one round trip.

    Raises what redis-py raises; of refusals the first.
    """
    pieces = packed([("MULTI",), *commands, ("EXEC",)])
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command(pieces)
        answers = [reply(connection) for _ in range(len(commands) + 2)]
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)
    done: list[Any] | Exception = answers.pop()
    refusals = [answer for answer in answers if isinstance(answer, Exception)]
    if isinstance(done, Exception):
        raise refusals[0] if refusals else done
    for answer in done:
        if isinstance(answer, Exception):
            raise answer
    return done


def packed(commands: Iterable[Sequence[Value]], /) -> list[bytes]:
    """Commands as they go over the wire, in a few large pieces.

    Raises:
        DataError: a value of another type.
    """
    pieces: list[bytes] = []
    held: list[bytes] = []
    size = 0
    known: dict[str, bytes] = {}
    for command in commands:
        parts = [b"*%d\r\n" % len(command)]
        for value in command:
            kind = type(value)
            part = known.get(value) if kind is str else None  # type: ignore[arg-type]  # it is one
            if part is None:
                part = _part(value)
                if kind is str and len(part) < _SHORT:
                    known[value] = part  # type: ignore[index]  # as above
            parts.append(part)
        text = b"".join(parts)
        held.append(text)
        size += len(text)
        if size > _PIECE:
            pieces.append(b"".join(held))
            held, size = [], 0
    if held:
        pieces.append(b"".join(held))
    return pieces


def _part(value: Value) -> bytes:
    if isinstance(value, str):
        value = value.encode()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = repr(value).encode()
    elif not isinstance(value, bytes):
        raise DataError(f"{type(value).__name__} is no value for Redis: {value!r:.80}")
    return b"$%d\r\n%b\r\n" % (len(value), value)
