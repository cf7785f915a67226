"""In a worker: what became of an attempt is told to Dramatiq, and the worker's start and stop to the runner."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from dramatiq.errors import Retry
from dramatiq.middleware import Middleware, SkipMessage

from taskbridge_dramatiq.patches import wait_until_announced

if TYPE_CHECKING:
    from collections.abc import Container

    from dramatiq import Broker
    from dramatiq.broker import MessageProxy
    from dramatiq.worker import Worker

    from taskbridge.backend import Run
    from taskbridge_dramatiq.brokers import Fenced


class PutBack(Retry):
    """Raised for a message whose successor is enqueued or kept already: all that is left to do is to acknowledge it."""


class Settling(Middleware):
    """Hands the message to the actor, and acknowledges or dead-letters it as the runner decided.

    It stands first in a broker's middleware, so that of all it hears last of an attempt: what Dramatiq's own `Retries`
    may have said about a job of ours does not count.
    """

    def __init__(self, run: Run, actors: Container[str], fenced: Fenced | None) -> None:
        """`fenced` is the broker, if it is one of ours."""
        self._run = run
        self._fenced = fenced
        self._actors = actors
        self._thread = threading.local()

    @property
    def message(self) -> MessageProxy:
        """What this thread works on."""
        message: MessageProxy = self._thread.message
        return message

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        self._run.start()
        if self._fenced is not None:
            self._fenced.start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - as above
        if self._fenced is not None:
            self._fenced.leave()
        self._run.stop()

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002 - as above
        wait_until_announced()
        self._thread.message = message
        if self._fenced is not None and not self._fenced.begin(message):
            raise SkipMessage("another worker has the job")

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002 - as above
        message: MessageProxy,
        *,
        result: Any | None = None,  # noqa: ARG002 - as above
        exception: BaseException | None = None,
    ) -> None:
        if exception is None or message.actor_name not in self._actors:
            return
        message.failed = not isinstance(exception, PutBack)
