"""Overrides of what Dramatiq does not foresee, each alone, with its reason."""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

logger = logging.getLogger("taskbridge.dramatiq")

ANNOUNCED_WITHIN_SECONDS: Final = 60
"""Beyond it jobs run although Dramatiq did not say that the process has booted, as a later Dramatiq may do."""

_announced = threading.Event()
_announced.set()


def hold_jobs_until_announced() -> None:
    """In a worker process: let no job run until the master has been told that the process has booted.

    Dramatiq starts its threads first and then sets an event that it shares with the master. The event's lock stays
    taken if a job kills the process meanwhile, and the master, which waits for it without limit and with its signals
    blocked, neither ends nor starts another process. Killed a little earlier, it is missed for 30 s. (Dramatiq 2.2.1.)
    """
    tell = synchronize.Event.set

    def tell_and_let_go(event: synchronize.Event) -> None:
        tell(event)
        if sys._getframe(1).f_globals["__name__"] == "dramatiq.cli":
            synchronize.Event.set = tell  # type: ignore[method-assign]  # that is the override
            _announced.set()

    _announced.clear()
    synchronize.Event.set = tell_and_let_go  # type: ignore[method-assign, assignment]  # as above


def wait_until_announced() -> None:
    """Before a job runs; at once in a process that has booted, and where `hold_jobs_until_announced` was not called."""
    if not _announced.is_set() and not _announced.wait(ANNOUNCED_WITHIN_SECONDS):
        logger.warning("Dramatiq has not said in %d s that the process has booted.", ANNOUNCED_WITHIN_SECONDS)
        _announced.set()


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
