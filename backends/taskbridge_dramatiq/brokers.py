"""Which Dramatiq broker a backend has: opened from a URL, or the application's own."""

from __future__ import annotations

import importlib
import sys
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from dramatiq import Broker

from taskbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dramatiq import Message as DramatiqMessage
    from dramatiq.broker import MessageProxy

    from taskbridge.settings import BackendURL

Kind = Literal["redis", "amqp"]

_CLASSES: dict[Kind, tuple[str, str]] = {
    "redis": ("dramatiq.brokers.redis", "RedisBroker"),
    "amqp": ("dramatiq.brokers.rabbitmq", "RabbitmqBroker"),
}


@runtime_checkable
class Fenced(Protocol):
    """A broker of ours: what its workers settle after they lost their hold on a message changes nothing."""

    park: Callable[..., bool]
    """Set when it serves: `Run.park`."""

    def begin(self, message: MessageProxy, /) -> bool:
        """Whether the worker may run the message; False: another has it."""
        ...

    def put_back(
        self, message: MessageProxy, successor: DramatiqMessage[Any], /, *, delay: int | None, redis_id: str
    ) -> None:
        """Put the next attempt in the place of this one, unless another worker has it. `delay` in milliseconds."""
        ...

    def start(self) -> None:
        """Before the worker takes the first message."""
        ...

    def leave(self) -> None:
        """After it took the last: what still runs goes back."""
        ...


class Driver(Protocol):
    """What differs between the brokers: the modules `redis_broker` and `amqp_broker`."""

    def publish(self, broker: Any, messages: Sequence[tuple[DramatiqMessage[Any], int | None]], label: str, /) -> None:
        """Hand (message, delay in milliseconds) pairs over; raises `EnqueueError`."""

    def put_back(self, broker: Any, queue_name: str, payload: bytes, label: str, /) -> None:
        """Lay bytes on the queue that were taken from it; raises `EnqueueError`."""

    def prepare_worker(self, broker: Any, queues: Sequence[str], label: str, /, *, is_adopted: bool) -> None:
        """In a worker, before it consumes."""

    def disconnect(self, broker: Any, /) -> None:
        """Give back the connections."""


def open_broker(url: BackendURL, /) -> Broker:
    """The broker for a URL: the one that `?app=` names, or a new one. Nothing is connected yet.

    Raises:
        ConfigurationError: `?app=` names no broker of the URL's kind, or an option does not fit the broker.
    """
    path = url.options.get("app")
    if path is not None:
        return _import_broker(path, url)
    if url_kind(url) == "redis":
        if "priority" in url.options:
            raise ConfigurationError(f"{url}: Redis lists have no priorities. Take ?priority= out, or use amqp.")
        from taskbridge_dramatiq.redis_broker import open_redis

        return open_redis(url)
    for option in ("namespace", "heartbeat"):
        if option in url.options:
            raise ConfigurationError(f"{url}: ?{option}= is for Redis. Take it out.")
    from taskbridge_dramatiq.amqp_broker import open_amqp

    return open_amqp(url)


def url_kind(url: BackendURL, /) -> Kind:
    """Which broker a URL asks for."""
    return "amqp" if url.broker.startswith("amqp") else "redis"


def kind_of(broker: Broker, /) -> Kind:
    """Which broker this is.

    Raises:
        ConfigurationError: one that TaskBridge does not know.
    """
    for kind, (module, name) in _CLASSES.items():
        # A broker whose module was never imported is not of its class, and its client need not be installed.
        known = getattr(sys.modules.get(module), name, None)
        if known is not None and isinstance(broker, known):
            return kind
    raise ConfigurationError(
        f"{type(broker).__name__} is not a Dramatiq broker that TaskBridge knows: give a RedisBroker or a "
        f"RabbitmqBroker. For tests without a server use memory://."
    )


def driver(kind: Kind, /) -> Driver:
    """The module for brokers of this kind."""
    if kind == "redis":
        from taskbridge_dramatiq import redis_broker

        return redis_broker
    from taskbridge_dramatiq import amqp_broker

    return amqp_broker


def _import_broker(path: str, url: BackendURL) -> Broker:
    if url.host:
        raise ConfigurationError(f"{url}: the broker of ?app= names its own server. Write {url.scheme}://?app={path}.")
    module, _, attribute = path.partition(":")
    try:
        found = reduce(getattr, (attribute or "broker").split("."), importlib.import_module(module))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(f"{url}: there is no module {error.name!r}. Write ?app=module:broker.") from error
    except AttributeError as error:
        raise ConfigurationError(f"{url}: {error}. Write ?app=module:broker.") from error
    if not isinstance(found, Broker):
        raise ConfigurationError(f"{url}: {path} is a {type(found).__name__}, not a Dramatiq broker.")
    if kind_of(found) != url_kind(url):
        raise ConfigurationError(f"{url}: {path} is a {type(found).__name__}, which the scheme does not say.")
    return found
