"""The Celery app: made for a URL, or the application's own."""

from __future__ import annotations

import importlib
import logging
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from celery import Celery, signals
from celery.fixups.django import fixup

from taskbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from taskbridge.settings import BackendURL
    from taskbridge_celery.parking import Parking

VISIBILITY_SECONDS: Final = 3600
"""Kombu's own default: after this time Redis gives out again what a worker has not acknowledged."""

LEASE_SECONDS: Final = 8
"""After this time Redis gives out again what a worker of ours has not renewed."""


def make_app(url: BackendURL, queue_name: str, /) -> Celery:
    """An app of our own, which never becomes Celery's current one and reads no other configuration."""
    app = Celery("taskbridge", set_as_current=False, fixups=[])
    app.conf.update(
        broker_url=broker_url(url),
        broker_use_ssl=_tls(url),
        broker_connection_retry_on_startup=True,
        broker_transport_options=_transport_options(url),
        task_default_queue=queue_name,
        task_queue_max_priority=url.number("priority", 0) or None,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


def prepare_worker(app: Celery, /) -> None:
    """What an app of our own needs in a worker, and no producer wants."""
    if logging.getLogger().handlers:
        # The application has set up its logging: with a receiver of this signal Celery leaves all of it alone.
        signals.setup_logging.connect(_leave_logging_alone, weak=False)
    # Under Django: connections that a forked process inherits are dropped. A no-op elsewhere.
    fixup(app)


def keep_connected(app: Celery, parking: Parking, /) -> None:
    """What any app whose workers are ours needs: nothing that it receives is dropped, nothing on a channel ends it."""
    from taskbridge_celery.consumer import Consumer

    app.conf.worker_consumer = type("Consumer", (Consumer,), {"parking": parking, "__module__": Consumer.__module__})
    # One job that outlives the server's `consumer_timeout` would end every worker that is given it.
    app.conf.broker_channel_error_retry = True
    # However long the broker is away.
    app.conf.broker_connection_max_retries = None


def _leave_logging_alone(**_: Any) -> None: ...


def load_app(path: str, /) -> Celery:
    """The app at `module:attribute`.

    Raises:
        ConfigurationError: there is none, or it refuses JSON.
    """
    module, _, attribute = path.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"?app={path}: the module {error.name!r} is not found.") from error
    app = getattr(found, attribute or "app", None)
    if app is None:
        raise ConfigurationError(f"?app={path}: {module!r} has no {attribute or 'app'!r}. Write ?app=module:attribute.")
    return check_app(app, f"?app={path}")


def check_app(app: Any, label: str, /) -> Celery:
    """The app, if it can carry our messages.

    Raises:
        ConfigurationError: it is no Celery app, its workers refuse JSON, or it speaks protocol 1.
    """
    if not isinstance(app, Celery):
        raise ConfigurationError(f"{label} is no Celery app but {app!r}.")
    accepted = app.conf.accept_content or ()
    if "json" not in accepted and "application/json" not in accepted:
        raise ConfigurationError(
            f"{label}: accept_content is {sorted(accepted)}, and TaskBridge sends JSON. Add 'json' to it."
        )
    if app.conf.task_protocol != 2:
        raise ConfigurationError(f"{label}: task_protocol=1 has no headers. Take it out: every Celery since 4 reads 2.")
    return app


def broker_url(url: BackendURL, /) -> str:
    """What Kombu is told, password included."""
    if url.broker not in ("redis", "rediss"):
        return url.server()
    from taskbridge.brokers.redis import redis_url
    from taskbridge.brokers.sentinel import sentinels

    plain = redis_url(url)
    if not _is_watched(url):
        return plain
    # Kombu takes one URL for each Sentinel, and the rest as transport options.
    each = [replace(url, host=host, port=port, more_hosts=()) for host, port in sentinels(url)]
    return ";".join(one.server("sentinel") for one in each)


def _tls(url: BackendURL) -> Any:
    if url.broker == "rediss":
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    if url.broker == "amqps":
        # Without the name, py-amqp takes a certificate of any host.
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": url.host}
    return None


def _is_watched(url: BackendURL) -> bool:
    return "sentinel" in url.options


def _sentinel_options(url: BackendURL) -> dict[str, Any]:
    from taskbridge.brokers.sentinel import sentinel_arguments

    tls = _tls(url)
    arguments = {**sentinel_arguments(url), "ssl": tls is not None, **(tls or {})}
    return {"master_name": url.options["sentinel"], "sentinel_kwargs": arguments}


def _transport_options(url: BackendURL) -> dict[str, Any]:
    if url.broker not in ("redis", "rediss"):
        return {"confirm_publish": True}
    return {
        **(_sentinel_options(url) if _is_watched(url) else {}),
        # For what stock workers hold; ours renew what they hold, under a lease that is much shorter.
        "visibility_timeout": url.number("visibility_timeout", VISIBILITY_SECONDS),
        "taskbridge_lease": url.number("lease", LEASE_SECONDS),
        # How often a worker looks for what dead ones held: every ten seconds, not every hundred.
        "unacked_restore_throttle": 1,
        # A worker that is killed while it looks must not keep the others from it for five minutes.
        "unacked_mutex_expire": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }
