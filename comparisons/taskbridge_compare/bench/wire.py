"""What a client wrote, as the commands that a broker reads in it."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_AMQP_METHODS = {
    (20, 10): "channel.open",
    (20, 40): "channel.close",
    (50, 10): "queue.declare",
    (60, 40): "basic.publish",
    (85, 10): "confirm.select",
    (90, 10): "tx.select",
    (90, 20): "tx.commit",
}
_AMQP_FRAMES = {2: "content header", 3: "content body", 8: "heartbeat"}
_POSTGRES = {"Q": "simple query", "E": "execute"}


def redis_commands(streams: Iterable[bytes]) -> Counter[str]:
    """Commands by name."""
    commands: Counter[str] = Counter()
    for stream in streams:
        at = 0
        while at < len(stream):
            count, at = _number(stream, at)
            for index in range(count):
                size, at = _number(stream, at)
                if index == 0:
                    commands[stream[at : at + size].decode().upper()] += 1
                at += size + 2
    return commands


def _number(stream: bytes, at: int) -> tuple[int, int]:
    end = stream.index(b"\r\n", at)
    return int(stream[at + 1 : end]), end + 2


def amqp_frames(streams: Iterable[bytes]) -> Counter[str]:
    """Frames by method or kind, heartbeats apart, since time sends those. Not for streams that begin a connection."""
    frames: Counter[str] = Counter()
    for stream in streams:
        at = 0
        while at < len(stream):
            kind, _, size = struct.unpack_from(">BHI", stream, at)
            if kind == 1:
                method = struct.unpack_from(">HH", stream, at + 7)
                frames[_AMQP_METHODS.get(method, f"method {method[0]}.{method[1]}")] += 1
            elif kind != 8:
                frames[_AMQP_FRAMES[kind]] += 1
            at += size + 8
    return frames


def postgres_statements(streams: Iterable[bytes]) -> Counter[str]:
    """Statements that are run, by the way they are asked for. Not for streams that begin a connection."""
    statements: Counter[str] = Counter()
    for stream in streams:
        at = 0
        while at < len(stream):
            kind = chr(stream[at])
            if kind in _POSTGRES:
                statements[_POSTGRES[kind]] += 1
            (size,) = struct.unpack_from(">I", stream, at + 1)
            at += size + 1
    return statements


def sqlite_statements(lines: Iterable[str]) -> tuple[Counter[str], int]:
    """Statements by their first word, and transactions: each waits for the disk once, one of a single statement too."""
    statements: Counter[str] = Counter()
    transactions = 0
    is_open = False
    for line in lines:
        if line.startswith("--"):  # what a trigger runs
            continue
        verb = line.split(maxsplit=1)[0].rstrip(";").upper()
        statements[verb] += 1
        if verb == "BEGIN":
            is_open = True
        elif verb in ("COMMIT", "END"):
            is_open = False
            transactions += 1
        elif verb in ("INSERT", "UPDATE", "DELETE") and not is_open:
            transactions += 1
    return statements, transactions
