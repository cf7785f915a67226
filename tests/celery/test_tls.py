"""`rediss` and `amqps`: certificates are checked, and the host's name in them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import taskbridge
from taskbridge.errors import BrokerUnavailable
from tests.celery import application


class Proxy:
    """Speaks TLS to clients, and passes on what they say to a plain server."""

    def __init__(self, target: tuple[str, int], folder: Path, name: str) -> None:
        self.certificate, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(self.certificate)],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
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


@pytest.fixture
def proxy(broker: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    parts = urlsplit(broker)
    assert parts.hostname is not None
    assert parts.port is not None
    made = Proxy((parts.hostname, parts.port), tmp_path, getattr(request, "param", "localhost"))
    yield made
    taskbridge.router.router.close()
    made.close()


def configure(broker: str, proxy: Proxy) -> None:
    parts = urlsplit(broker)
    user = f"{parts.username}:{parts.password}@" if parts.username else ""
    taskbridge.configure(f"{parts.scheme}s://{user}localhost:{proxy.port}{parts.path}")


def test_a_broker_with_a_trusted_certificate_takes_the_job(
    broker: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
    configure(broker, proxy)
    application.noted.enqueue("secret")


def test_a_certificate_that_nobody_vouches_for_is_refused(broker: str, proxy: Proxy) -> None:
    configure(broker, proxy)
    with pytest.raises(BrokerUnavailable, match=r"(?i)certificate.verify.failed") as caught:
        application.noted.enqueue("secret")
    assert not caught.value.maybe_accepted


@pytest.mark.parametrize("proxy", ["elsewhere.example"], indirect=True)
def test_a_trusted_certificate_of_another_host_is_refused(
    broker: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
    configure(broker, proxy)
    with pytest.raises(BrokerUnavailable, match=r"[Hh]ostname mismatch") as caught:
        application.noted.enqueue("secret")
    assert not caught.value.maybe_accepted
