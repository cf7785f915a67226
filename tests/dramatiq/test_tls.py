"""`rediss` and `amqps`: certificates are checked, and the host's name in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import taskbridge
from taskbridge.errors import BrokerUnavailable
from taskbridge.router import router
from tests.dramatiq import application
from tests.tls import Proxy


@pytest.fixture(params=["redis_url", "amqp_url"])
def broker(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def configured(broker: str, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool) -> Proxy:
    """A proxy whose certificate is for `name`, and the broker behind it as the default backend."""
    parts = urlsplit(broker)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy((parts.hostname, parts.port), folder, name)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
    user = f"{parts.username}:{parts.password}@" if parts.username else ""
    taskbridge.configure(f"dramatiq+{parts.scheme}s://{user}localhost:{proxy.port}{parts.path}")
    return proxy


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    router.close()


def test_a_broker_with_a_trusted_certificate_takes_the_job(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = configured(broker, tmp_path, "localhost", monkeypatch, is_trusted=True)
    application.note_text.enqueue("secret")
    router.close()
    proxy.close()


@pytest.mark.parametrize(("name", "is_trusted"), [("localhost", False), ("elsewhere.example", True)])
def test_a_certificate_that_is_not_trusted_or_not_the_hosts_is_refused(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, is_trusted: bool
) -> None:
    proxy = configured(broker, tmp_path, name, monkeypatch, is_trusted=is_trusted)
    with pytest.raises(BrokerUnavailable, match=r"(?i)certificate.verify.failed|hostname mismatch") as refusal:
        application.note_text.enqueue("secret")
    assert not refusal.value.maybe_accepted
    proxy.close()
