"""What TaskBridge's own Python costs: one enqueue into a null transport, and one job in the worker around a no-op."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from taskbridge import configure
from taskbridge.backend import Backend
from taskbridge.capability import Capabilities, emulated
from taskbridge.decorator import task
from taskbridge.message import Done, Message, decode_headers, encode_headers
from taskbridge.registry import Registry, registry
from taskbridge.router import router
from taskbridge.worker import (
    AtMostOnce,
    Cancellations,
    DeadLetters,
    Deadline,
    EffectivelyOnce,
    Environment,
    Expiry,
    Results,
    Retries,
    Runner,
    Termination,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskbridge.backend import Run, WorkerOptions
    from taskbridge.process import Command

ENQUEUE_BUDGET = 12.0
"""Microseconds for one enqueue, of a machine on which `calibration` takes `REFERENCE`."""
WORKER_BUDGET = 25.0
"""Microseconds for one job in the worker, likewise."""
REFERENCE = 1.05
"""Microseconds that `calibration` takes on the machine which the budgets are meant for."""

_BURST = 100
_ANY = emulated(Retries, cost="")
_METADATA = {"tenant": 7, "trace": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


class NullBackend(Backend):
    """Writes the headers, as every adapter must, and sends nothing. Everything is emulated: the longest way."""

    engine: ClassVar[str] = "null"
    brokers: ClassVar[tuple[str, ...]] = ("",)
    url_options: ClassVar[Mapping[str, str]] = {}
    wire_names: ClassVar[Literal["name", "module path"]] = "name"
    capabilities = Capabilities(
        at_least_once=_ANY,
        at_most_once=emulated(AtMostOnce, cost=""),
        effectively_once=emulated(EffectivelyOnce, cost=""),
        retry=_ANY,
        timeout=emulated(Deadline, cost=""),
        prompt_timeout=_ANY,
        expires=emulated(Expiry, cost=""),
        run_after=_ANY,
        priority=_ANY,
        result=emulated(Results, cost=""),
        cancel=emulated(Cancellations, cost=""),
        terminate=emulated(Termination, cost=""),
        dead_letters=emulated(DeadLetters, cost=""),
        context=_ANY,
    )

    def __init__(self) -> None:
        self.last: tuple[Message, str] | None = None

    def enqueue(self, messages: Sequence[Message], /) -> None:
        for message in messages:
            assert message.headers is not None
            self.last = message, encode_headers(message.headers)

    def serve(self, registry: Registry, run: Run, /) -> None: ...

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:  # noqa: ARG002 - it has none
        return ()

    def close(self) -> None: ...


@task(metadata=_METADATA)
def no_op(customer: int, name: str, when: datetime) -> None:
    """A typed signature of three arguments, of which one does not travel as it is."""


def calibration() -> float:
    """Microseconds of a piece of plain Python, by which a slower machine is known."""

    def work() -> int:
        total = 0
        for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz"):
            total += number * len(letter)
        return total

    return best(work)


def enqueue_cost() -> float:
    """Microseconds of one `enqueue` into a transport that does nothing."""
    return _with_null(lambda _backend: best(lambda: no_op.enqueue(42, "Ada Lovelace", _WHEN)))


def bulk_cost(count: int = 100) -> float:
    """Microseconds a job of one `enqueue_many` into a transport that does nothing."""
    calls = [(number, "Ada Lovelace", _WHEN) for number in range(count)]
    return _with_null(lambda _backend: best(lambda: no_op.enqueue_many(calls), burst=1) / count)


def changed_options_cost() -> float:
    """Microseconds of one `using(...).enqueue`, which checks the options of that call against the record anew."""
    return _with_null(lambda _backend: best(lambda: no_op.using(priority=7).enqueue(42, "Ada Lovelace", _WHEN)))


def worker_cost() -> float:
    """Microseconds of one attempt: headers and arguments decoded, all middlewares, a task that does nothing."""

    def measured(backend: NullBackend) -> float:
        no_op.enqueue(42, "Ada Lovelace", _WHEN)
        assert backend.last is not None
        message, slot = backend.last
        tasks = Registry(registry.hooks)
        tasks.add(no_op)
        run = Runner(backend, Environment(alias="default", registry=tasks, open_store=lambda: None))

        def attempt() -> None:
            message.headers = decode_headers(slot)
            assert type(run(message, attempt=1)) is Done

        return best(attempt)

    return _with_null(measured)


_WHEN = datetime(2026, 11, 21, 3, 8, tzinfo=UTC)


def _with_null(measure: Callable[[NullBackend], float]) -> float:
    configured = router.configured
    backend = NullBackend()
    configure(backends={"default": backend})
    try:
        return measure(backend)
    finally:
        router.configure(configured)


def best(work: Callable[[], Any], *, burst: int = _BURST, seconds: float = 0.3) -> float:
    """Microseconds of one call in the fastest burst: what else runs on the machine can only slow a burst down."""
    work()
    fastest = float("inf")
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.perf_counter()
        for _ in range(burst):
            work()
        fastest = min(fastest, time.perf_counter() - begin)
    return fastest / burst * 1e6
