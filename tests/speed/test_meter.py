"""The instruments of the counts, held against a server that this test wrote."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from taskbridge_compare.bench import wire
from taskbridge_compare.bench.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that gives each byte back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(1024):
                    connection.sendall(data)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"redis://:secret@127.0.0.1:{listener.getsockname()[1]}/3"
    listener.close()
    thread.join(5)


def test_a_batch_is_one_round_trip_and_single_calls_are_as_many_as_they_are(echo: str) -> None:
    with Meter(echo) as meter:
        assert meter.url.startswith("redis://:secret@127.0.0.1:")
        assert meter.url.endswith("/3")
        port = int(meter.url.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client, client.makefile("rb") as answers:
            for _ in range(4):
                client.sendall(b"one")
                assert answers.read(3) == b"one"
            assert meter.read() == (4, [b"one" * 4])
            meter.reset()
            for _ in range(100):
                client.sendall(b"many")
            assert answers.read(400) == b"many" * 100
            round_trips, sent = meter.read()
            assert sent == [b"many" * 100]
            assert round_trips < 10  # one, on a machine that has the time


def test_redis_commands_are_named() -> None:
    stream = b"*3\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n$4\r\n*1\r\n\r\n*1\r\n$4\r\nexec\r\n"
    assert wire.redis_commands([stream, stream]) == Counter({"LPUSH": 2, "EXEC": 2})


def test_amqp_frames_are_named_and_heartbeats_left_out() -> None:
    def frame(kind: int, payload: bytes) -> bytes:
        return struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce"

    stream = frame(1, struct.pack(">HH", 60, 40) + b"rest") + frame(2, b"head") + frame(3, b"\xce") + frame(8, b"")
    assert wire.amqp_frames([stream]) == Counter({"basic.publish": 1, "content header": 1, "content body": 1})


def test_postgres_statements_are_counted() -> None:
    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">I", len(body) + 4) + body

    stream = message(b"P", b"Q") + message(b"B", b"") + message(b"E", b"") + message(b"S", b"") + message(b"Q", b"E")
    assert wire.postgres_statements([stream]) == Counter({"execute": 1, "simple query": 1})


def test_sqlite_statements_are_counted_with_their_transactions() -> None:
    lines = ["BEGIN IMMEDIATE", "INSERT INTO t", "-- INSERT INTO log", "COMMIT;", "insert into t", "SELECT 1"]
    statements, transactions = wire.sqlite_statements(lines)
    assert statements == Counter({"INSERT": 2, "BEGIN": 1, "COMMIT": 1, "SELECT": 1})
    assert transactions == 2
