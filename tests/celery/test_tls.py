"""`rediss` and `amqps`: certificates are checked, and the host's name in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import taskbridge
from taskbridge.errors import BrokerUnavailable
from tests.celery import application
from tests.tls import Proxy


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
