"""Overrides of what Dramatiq does not foresee, each alone, with its reason."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

_brokers: weakref.WeakSet[RabbitmqBroker] = weakref.WeakSet()


def forget_connections_after_fork(broker: RabbitmqBroker, /) -> None:
    """Give a child of `os.fork()` its own connections.

    pika's connections are not safe over a fork, and `RabbitmqBroker` keeps them in thread-local state: parent and child
    would write to one socket, lose messages and hang. (Dramatiq 2.2.1; its documentation says to fork first.)
    """
    _brokers.add(broker)


def forget_connections(broker: RabbitmqBroker, /) -> None:
    """Drop the broker's connections without closing them."""
    broker.state = threading.local()
    broker.connections = set()
    broker.channels = set()


def _forget_all() -> None:
    for broker in _brokers:
        _inherited.append((broker.state, broker.connections, broker.channels))
        forget_connections(broker)


_inherited: list[object] = []
"""Kept, since a connection that is collected closes the socket that the parent still uses."""
os.register_at_fork(after_in_child=_forget_all)
