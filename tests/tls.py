"""A plain server of the tests, spoken to over TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path


def certificate(folder: Path, subject: str) -> tuple[Path, Path]:
    """A certificate for `DNS:name` or `IP:address`, and its key."""
    made, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests",
         "-addext", f"subjectAltName={subject}", "-keyout", str(key), "-out", str(made)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return made, key


class Proxy:
    """Speaks TLS to clients, and passes on what they say to a plain server."""

    def __init__(self, target: tuple[str, int], folder: Path, name: str) -> None:
        self.certificate, key = certificate(folder, f"DNS:{name}")
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(self.certificate, key)
        self._target = target
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = self._sockets[0].getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._sockets[0].accept()
                try:
                    client = self._context.wrap_socket(plain, server_side=True)
                except OSError:
                    plain.close()
                    continue
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            sink.sendall(received)
        sink.shutdown(socket.SHUT_WR)
