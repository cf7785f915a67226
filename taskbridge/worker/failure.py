"""What a task raises becomes an outcome; no exception of a task leaves the runner."""

from __future__ import annotations

import logging
import signal
from asyncio import CancelledError
from traceback import walk_tb
from typing import TYPE_CHECKING, Final

from taskbridge.context import CancelRequested, RetryRequested
from taskbridge.errors import DeadlineExceeded, InvalidTask, TaskExited, TaskTimedOut, UndecodableMessage
from taskbridge.message import Cancelled, Dead
from taskbridge.signatures.fingerprint import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.message import Outcome
    from taskbridge.worker.attempt import Attempt, Environment

logger = logging.getLogger("taskbridge.attempt")


_OWN = ("taskbridge.worker.", "taskbridge.django.")


class Failure:
    """Turns what an attempt raised into `Dead`; `Retries`, further out, may turn that into `Again`.

    `KeyboardInterrupt`, the engines' own interruptions and a `SystemExit` out of a signal handler pass: they are about
    the worker, not the job.
    """

    def __init__(self, _environment: Environment, /) -> None: ...

    def around(self, attempt: Attempt, proceed: Callable[[Attempt], Outcome], /) -> Outcome:
        try:
            return proceed(attempt)
        except UndecodableMessage as error:
            logger.error("The job's arguments cannot be read: %s", error)  # noqa: TRY400 - the traceback would be ours
            if _is_of_other_code(attempt):
                error = UndecodableMessage(f"{error} {_OTHER_CODE}")
            return Dead(error, "wrong signature", error)
        except Exception as error:
            hide_own_frames(error)
            logger.warning("Attempt %d failed.", attempt.number, exc_info=True)
            return Dead(error, "exhausted", error)
        except DeadlineExceeded as error:
            hide_own_frames(error)
            logger.warning("Attempt %d was ended at its timeout of %s.", attempt.number, attempt.timeout)
            timed_out = TaskTimedOut(f"{attempt.task.name} took longer than its timeout of {attempt.timeout}")
            timed_out.__cause__ = error
            return Dead(timed_out, "exhausted", error)
        except (SystemExit, CancelledError) as error:
            if _comes_from_a_signal(error):
                raise
            hide_own_frames(error)
            logger.warning("Attempt %d ended with %r.", attempt.number, error)
            exited = TaskExited(f"{attempt.task.name} ended with {error!r}")
            exited.__cause__ = error
            return Dead(exited, "exhausted", error)
        except CancelRequested:
            logger.info("Attempt %d ended, since the job was cancelled.", attempt.number)
            return Cancelled()
        except RetryRequested as request:
            refusal = InvalidTask(
                f"{attempt.task.name} called context.retry(), and its attempts are used up or it has no retry: declare "
                f"it with retry=Retry(...), which bounds their number."
            )
            return Dead(refusal, "exhausted", request)


_OTHER_CODE: Final = (
    "Its task had another signature where it was enqueued: deploy the code that fits, whose workers enqueue it again."
)


def _is_of_other_code(attempt: Attempt) -> bool:
    sent = attempt.headers.fingerprint
    return sent != "" and sent != fingerprint_of(attempt.task)


def _comes_from_a_signal(error: BaseException) -> bool:
    """Whether a handler that is installed in this process raised it, on the worker's behalf."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {getattr(getattr(handler, "__func__", handler), "__code__", None) for handler in handlers}
    return any(frame.f_code in codes for frame, _ in walk_tb(error.__traceback__))


def hide_own_frames(error: BaseException, /) -> None:
    """Let the traceback begin in the task, where a reader's interest begins."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(_OWN):
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace
