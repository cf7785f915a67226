"""Virtual hosts of a RabbitMQ server that we did not start, through its management plugin's HTTP API."""

from __future__ import annotations

import base64
import os
import urllib.error
import urllib.request
import uuid
from urllib.parse import quote, unquote, urlsplit

from taskbridge.errors import ConfigurationError

VARIABLE = "TASKBRIDGE_TEST_AMQP_MANAGEMENT_URL"
"""Names the API where it is not `http://HOST:15672`."""
_TIMEOUT = 10.0


def create_vhost(url: str) -> str:
    """The URL of a new vhost, in which the URL's user may do everything. Raises ConfigurationError."""
    name = f"taskbridge-{uuid.uuid4().hex[:12]}"
    _request(url, "PUT", f"vhosts/{name}", b"{}")
    user = quote(unquote(urlsplit(url).username or "guest"), safe="")
    _request(url, "PUT", f"permissions/{name}/{user}", b'{"configure": ".*", "write": ".*", "read": ".*"}')
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def delete_vhost(url: str) -> None:
    """Delete a vhost that `create_vhost` made. Raises ConfigurationError."""
    _request(url, "DELETE", f"vhosts/{urlsplit(url).path.strip('/')}", None)


def _request(url: str, method: str, path: str, body: bytes | None) -> None:
    parts = urlsplit(url)
    base = os.environ.get(VARIABLE) or f"http://{parts.hostname}:15672"
    login = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
    request = urllib.request.Request(  # noqa: S310  the scheme is what the user of the test suite wrote
        f"{base.rstrip('/')}/api/{path}",
        data=body,
        method=method,
        headers={
            "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT):  # noqa: S310  as above
            pass
    except (OSError, urllib.error.HTTPError) as error:
        raise ConfigurationError(
            f"the RabbitMQ server at {parts.hostname} gives no vhost of our own ({method} {base}/api/{path}: {error}): "
            f"enable its management plugin, set {VARIABLE}, or give no URL to use a private server"
        ) from error
