"""In a worker: one native Huey task for each task, which runs an attempt and settles its outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, assert_never

from huey.api import Huey, Task
from huey.exceptions import CancelExecution, RetryTask

from taskbridge.message import Again, Cancelled, Dead, Done, Expired, Headers, Skipped, decode_headers, encode_headers
from taskbridge_huey.wire import Arguments, from_native, native_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskbridge.backend import Run
    from taskbridge.message import Message, Outcome


def register(huey: Huey, queue_name: str, names: Iterable[str], run: Run, /) -> None:
    """Make the tasks known to Huey under their wire names, and the worker's hooks to its processes."""

    def execute(native: Task) -> Any:
        if native.message is None:
            native.message = from_native(huey._registry.create_message(native), queue_name)  # noqa: SLF001 - Huey has no public way from a task to its message
        message: Message = native.message
        attempt = message.headers.attempt if message.headers else native.__dict__.get("attempt", 1)
        return settle(native, run(message, attempt=attempt, crashes=native.crashes))

    for name in names:
        module, _, function = native_name(name).rpartition(".")
        huey._registry.register(type(function, (Task,), {"__module__": module, "execute": execute, **_OURS}))  # noqa: SLF001 - its public way wants a function and makes up the name
    huey.on_startup("taskbridge")(run.start)
    huey.on_shutdown("taskbridge")(run.stop)


_OURS: Final = {"message": None, "crashes": 0}
"""What `Execution` finds out about a task of ours before it runs it."""


def settle(native: Task, outcome: Outcome, /) -> Any:
    """Carry out what the runner decided, in Huey's own ways."""
    match outcome:
        case Done(value):
            return value if native.args.headers is None else None
        case Again(delay):
            native.args = _next_attempt(native.args)
            raise RetryTask(delay=max(delay, timedelta(0)).total_seconds())
        case Dead(error):
            raise error
        case Expired() | Skipped() | Cancelled():
            raise CancelExecution(retry=False)
        case _:
            assert_never(outcome)


def _next_attempt(args: Arguments) -> Arguments:
    headers = decode_headers(args.headers) if args.headers is not None else Headers()
    headers.attempt += 1
    return Arguments(args, encode_headers(headers))
