"""The proxy cuts where a rule says so: before the server has the bytes, or before the client hears of it."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator

import pytest

from taskbridge_compare.faults.cut_rules import BeforeReply, BeforeRequest, Delivery
from taskbridge_compare.faults.proxy import CuttingProxy

SECONDS = 10


class Echo:
    """A server that keeps what it receives and sends it back."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.received: list[bytes] = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with connection:
            while True:
                try:
                    data = connection.recv(1000)
                except OSError:
                    return
                if not data:
                    return
                self.received.append(data)
                connection.sendall(data)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[CuttingProxy]:
    with CuttingProxy("127.0.0.1", echo.port) as proxy:
        yield proxy


def client(proxy: CuttingProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), SECONDS)


def hears(connection: socket.socket) -> bytes:
    """What comes back; nothing if the connection is reset or closed."""
    try:
        return connection.recv(1000)
    except ConnectionResetError:
        return b""


def test_a_request_that_is_cut_never_reaches_the_server(echo: Echo, proxy: CuttingProxy) -> None:
    told: list[str] = []
    with client(proxy) as one:
        one.sendall(b"first")
        assert hears(one) == b"first"
        proxy.rule = rule = BeforeRequest(lambda: told.append("cut"), piece=1)
        one.sendall(b"second")
        assert hears(one) == b""
    assert (echo.received, told, rule.struck.is_set()) == ([b"first"], ["cut"], True)
    with client(proxy) as another:
        another.sendall(b"third")
        assert hears(another) == b"third", "a rule strikes once"


def test_a_reply_that_is_cut_was_caused_by_what_the_server_has(echo: Echo, proxy: CuttingProxy) -> None:
    with client(proxy) as one, client(proxy) as neighbour:
        proxy.rule = BeforeReply(lambda: None, piece=2)
        one.sendall(b"first")
        assert hears(one) == b"first"
        one.sendall(b"second")
        assert hears(one) == b""
        neighbour.sendall(b"third")
        assert hears(neighbour) == b"third", "only one connection is reset"
    assert echo.received == [b"first", b"second", b"third"]


@pytest.mark.parametrize(
    "sent", [b"{id: job-00007-of-many}", base64.b64encode(b"[{'key': 'job-00007-of-many'}, {}, {}]")]
)
def test_a_delivery_is_known_by_what_it_holds(sent: bytes, proxy: CuttingProxy) -> None:
    proxy.rule = rule = Delivery(lambda: None, needles=["job-00007"])
    with client(proxy) as one:
        one.sendall(b"{id: job-00008-of-many}")
        assert hears(one) == b"{id: job-00008-of-many}"
        assert not rule.struck.is_set()
        one.sendall(sent)
        assert hears(one) == b""
