"""A TCP proxy that counts what a client says to a broker, and how often it waits for an answer.

Answers are held until both sides have been silent for a moment, so that a round trip is counted as what it is, a client
that can go no further without an answer, however many packets either way were cut into. It can only be counted too
high, on a machine that stops the client in the middle of a batch for longer than that moment.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import Self
from urllib.parse import urlsplit, urlunsplit

HOLD_SECONDS = 0.02
_SETTLED_SECONDS = 0.1
_CHUNK = 1 << 16


class Meter:
    """Listens on a free loopback port until `close`."""

    def __init__(self, url: str) -> None:
        """`url` is the broker's; `self.url` is the same through the proxy."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        own = f"127.0.0.1:{self._listener.getsockname()[1]}"
        user, at, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{user}{at}{own}"))
        self._lock = threading.Lock()
        self._sent: list[bytearray] = []
        self._round_trips = 0
        self._active = 0.0
        self._wires: list[_Wire] = []
        threading.Thread(target=self._accept, name="meter", daemon=True).start()

    def reset(self) -> None:
        """Begin to count anew; connections stay open."""
        self._settle()
        with self._lock:
            self._sent = []
            self._round_trips = 0
            for wire in self._wires:
                wire.sent = self._stream()

    def read(self) -> tuple[int, list[bytes]]:
        """Round trips, and what the client wrote on each connection that was used, since `reset`."""
        self._settle()
        with self._lock:
            return self._round_trips, [bytes(sent) for sent in self._sent if sent]

    def close(self) -> None:
        """End all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in self._wires:
            wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def told(self, wire: _Wire, data: bytes) -> None:
        """The client wrote `data`."""
        with self._lock:
            wire.sent += data
            self._active = time.monotonic()

    def answered(self) -> None:
        """The client got what it waited for."""
        with self._lock:
            self._round_trips += 1
            self._active = time.monotonic()

    def _settle(self) -> None:
        self._active = time.monotonic()
        while time.monotonic() - self._active < _SETTLED_SECONDS:
            time.sleep(HOLD_SECONDS)

    def _stream(self) -> bytearray:
        self._sent.append(bytearray())
        return self._sent[-1]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            with self._lock:
                wire = _Wire(self, client, server, self._stream())
                self._wires.append(wire)
            threading.Thread(target=wire.run, name="meter-wire", daemon=True).start()


class _Wire:
    """One connection through the meter."""

    def __init__(self, meter: Meter, client: socket.socket, server: socket.socket, sent: bytearray) -> None:
        self.sent = sent
        self._meter = meter
        self._client = client
        self._server = server
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        """Forward until either side ends."""
        held = bytearray()
        waits = False
        with contextlib.suppress(OSError, ValueError), self._client, self._server:
            while True:
                ready, _, _ = select.select((self._client, self._server), (), (), HOLD_SECONDS if held else None)
                if not ready:
                    if waits:
                        self._meter.answered()
                    waits = False
                    self._client.sendall(held)
                    held.clear()
                if self._client in ready:
                    data = self._client.recv(_CHUNK)
                    if not data:
                        return
                    waits = True
                    self._meter.told(self, data)
                    self._server.sendall(data)
                if self._server in ready:
                    data = self._server.recv(_CHUNK)
                    if not data:
                        self._client.sendall(held)
                        return
                    held += data

    def close(self) -> None:
        """End the connection."""
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
