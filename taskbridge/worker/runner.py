"""The core's one entry point in a worker: the ordered middlewares, and nothing else."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taskbridge.message import NO_TIMEOUT, Dead, Headers, Message, Outcome
from taskbridge.worker.around_hooks import AroundHooks
from taskbridge.worker.at_most_once import AtMostOnce
from taskbridge.worker.attempt import Attempt, Environment, Middleware
from taskbridge.worker.burial import Burial
from taskbridge.worker.call import Call
from taskbridge.worker.cancellations import Cancellations
from taskbridge.worker.connections import Connections
from taskbridge.worker.crash_budget import CrashBudget
from taskbridge.worker.dead_letters import DeadLetters
from taskbridge.worker.deadline import Deadline
from taskbridge.worker.effectively_once import EffectivelyOnce
from taskbridge.worker.endings import Endings
from taskbridge.worker.expiry import Expiry
from taskbridge.worker.failure import Failure
from taskbridge.worker.final_failure import FinalFailure
from taskbridge.worker.key_keeper import settle_keys
from taskbridge.worker.logs import Logs
from taskbridge.worker.long_retries import LongRetries
from taskbridge.worker.overlap import Overlap
from taskbridge.worker.results import Results
from taskbridge.worker.retries import Retries
from taskbridge.worker.signatures import Signatures
from taskbridge.worker.termination import Termination
from taskbridge.worker.unknown_task import record_failure, unknown_task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskbridge.backend import Backend
    from taskbridge.message import Parked
    from taskbridge.task import Task

logger = logging.getLogger("taskbridge.attempt")

ORDER: tuple[type[Middleware], ...] = (
    Logs,
    Connections,
    Endings,
    DeadLetters,
    Signatures,
    LongRetries,
    EffectivelyOnce,
    Results,
    Cancellations,
    Expiry,
    Overlap,
    FinalFailure,
    CrashBudget,
    AtMostOnce,
    Retries,
    Failure,
    Deadline,
    Termination,
    AroundHooks,
    Call,
)
"""Outermost first."""

ALWAYS = frozenset(
    {
        Logs,
        Connections,
        Endings,
        Signatures,
        Overlap,
        FinalFailure,
        CrashBudget,
        Failure,
        AroundHooks,
        Call,
    }
)
"""What no engine does for us. The others are wired in by the backend's record, `LongRetries` by its ceiling."""

_NO_HEADERS = Headers()


class Runner:
    """Runs attempts and says what became of them. It decides and never enqueues: the adapter settles."""

    def __init__(self, backend: Backend, environment: Environment) -> None:
        self._environment = environment
        self._burial = Burial(environment)
        self._tasks: Mapping[str, Task[..., Any, Any]] = environment.registry.by_wire_name(backend)
        wanted = ALWAYS | backend.capabilities.emulations()
        if environment.retry_ceiling is not None:
            wanted |= {LongRetries}
        unknown = wanted - set(ORDER)
        if unknown:
            raise TypeError(f"The record of {backend.engine} names {unknown}, which the runner does not know.")
        self._chain: Callable[[Attempt], Outcome] = _end
        for middleware in reversed(ORDER):
            if middleware in wanted:
                self._chain = _around(middleware(environment), self._chain)

    @property
    def crash_budget(self) -> int:
        """How often a job whose worker died is run again."""
        return self._environment.crash_budget

    def __call__(self, message: Message, /, *, attempt: int, crashes: int = 0) -> Outcome:
        """Run one attempt; `attempt` counts from 1, `crashes` the earlier executions that killed their worker.

        Those of before a wait in the store are added from the headers, since the engine knows nothing of them.
        """
        headers = message.headers or _NO_HEADERS
        crashes += headers.crashes
        task = self._tasks.get(message.task)
        if task is None:
            dead = unknown_task(message)
            record_failure(message, self._environment, dead.error, attempt=attempt, crashes=crashes)
            self._burial.job(message, dead, task=message.task, attempt=attempt, crashes=crashes)
            return dead
        timeout = task.options.timeout if headers.timeout is None else _limit(headers.timeout)
        return self._chain(Attempt(message, headers, task, attempt, timeout, crashes, alias=self._environment.alias))

    def park(
        self, payload: bytes, /, *, queue_name: str, reason: Parked, error: Exception, message: Message | None = None
    ) -> bool:
        """Keep what no task here can be given; False if the adapter must keep it on the broker."""
        logger.error("A message of %d bytes on the queue %s is %s: %s", len(payload), queue_name, reason, error)
        if message is None:
            return self._burial.payload(payload, queue_name=queue_name, reason=reason, error=error)
        dead = Dead(error, reason)
        record_failure(message, self._environment, error, attempt=1)
        return self._burial.job(message, dead, task=message.task, attempt=1, payload=payload)

    def start(self) -> None:
        """Run the start hooks in this process."""
        hooks = self._environment.registry.hooks
        hooks.fire(hooks.worker_start)

    def stop(self) -> None:
        """Run the stop hooks in this process, when its last attempt has ended."""
        settle_keys()
        hooks = self._environment.registry.hooks
        hooks.fire(hooks.worker_stop)


def _around(middleware: Middleware, proceed: Callable[[Attempt], Outcome]) -> Callable[[Attempt], Outcome]:
    around = middleware.around

    def run(attempt: Attempt) -> Outcome:
        return around(attempt, proceed)

    return run


def _end(attempt: Attempt) -> Outcome:
    raise AssertionError(f"Nothing ran {attempt!r}.")


def _limit(seconds: float) -> timedelta | None:
    return None if seconds == NO_TIMEOUT else timedelta(seconds=seconds)
