"""Celery's consumer, which keeps what it cannot run.

Celery acknowledges and forgets a message that it cannot decode, or whose task it does not know: a deploy in the wrong
order loses jobs. And some shapes that no Celery writes end its whole worker.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery import signals
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer

from taskbridge_celery.patches import written_jobs_kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu.message import Message

    from taskbridge.message import Parked
    from taskbridge_celery.parking import Parking

RECONNECT_SECONDS: Final = 3
"""The longest wait between two tries to reach a broker that is away."""

AGAIN_SECONDS: Final = 10.0
"""A message that nobody took is held, and offered again after this time."""

logger = logging.getLogger("taskbridge.celery")


class Consumer(CeleryConsumer):
    """`app.conf.worker_consumer` of our workers. Its callbacks are those that Celery documents for overriding."""

    parking: Parking

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Message], None]:
        handle = super().create_task_handler(*args, **options)
        pass_on = (*self.connection_errors, *self.channel_errors)

        def guarded(message: Message) -> None:
            try:
                handle(message)
            except pass_on:
                raise
            except Exception as error:
                if message.acknowledged or _is_reserved(message):
                    raise
                self._park(message, "undecodable", error)

        return guarded

    def ensure_connected(self, conn: Any) -> Any:
        # Celery waits for longer and longer, up to 30 s: jobs would lie there while a worker sleeps.
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=RECONNECT_SECONDS
        )
        return super().ensure_connected(conn)

    def on_close(self) -> None:
        with written_jobs_kept(self.pool):
            super().on_close()

    def on_unknown_message(self, body: Any, message: Message) -> None:  # noqa: ARG002 - Celery's signature
        self._park(message, "undecodable", ValueError("the message names no task"))

    def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        name = message.headers.get("task") if isinstance(message.headers, dict) else None
        self._park(message, "unknown task", LookupError(f"No task is called {name!r} in this worker."))
        job_id = (message.headers or {}).get("id")
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=job_id)

    def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        self._park(message, "undecodable", exc)

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        self._park(message, "undecodable", exc)

    def _park(self, message: Message, reason: Parked, error: Exception) -> None:
        signals.task_rejected.send(sender=self, message=message, exc=error)
        if self._kept(message, reason, error):
            return
        # As Celery does for a delayed job: what is held takes no place from those that can run.
        self.qos.increment_eventually()
        self.timer.call_after(AGAIN_SECONDS, self._try_again, (message, reason, error))

    def _try_again(self, message: Message, reason: Parked, error: Exception) -> None:
        if self._kept(message, reason, error):
            self.qos.decrement_eventually()
        else:
            self.timer.call_after(AGAIN_SECONDS, self._try_again, (message, reason, error))

    def _kept(self, message: Message, reason: Parked, error: Exception) -> bool:
        if not self.parking.keep(message, reason=reason, error=error):
            return False
        message.ack_log_error(logger, self.connection_errors)
        return True


def _is_reserved(message: Message) -> bool:
    headers = message.headers
    return isinstance(headers, dict) and isinstance(headers.get("id"), str) and headers["id"] in state.requests
