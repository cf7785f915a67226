"""Every error that TaskBridge raises on purpose.

A message says what was asked, on which backend, why not, and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskbridge.store.record import TaskError


class TaskBridgeError(Exception):
    """The root of all errors raised by TaskBridge."""


class ConfigurationError(TaskBridgeError):
    """A setting, a URL or an environment that cannot work."""


class UnknownBackend(ConfigurationError):
    """No backend is configured under this alias, or no adapter has this scheme."""


class BackendNotInstalled(ConfigurationError, ImportError):
    """The adapter exists, but the engine that it drives is not installed."""


class InvalidTask(TaskBridgeError):
    """A declaration that can work on no backend."""


class UnsupportedFeature(TaskBridgeError):
    """An option that this backend refuses. Raised when the task is bound, before any I/O."""


class InvalidArguments(TaskBridgeError, TypeError):
    """A call that does not fit the task's signature, or a value that would not arrive as it was sent."""


class UndecodableMessage(TaskBridgeError):
    """What lies on the broker cannot be read as a job of this task."""


class UnknownTask(TaskBridgeError):
    """A job names a task that this worker has not registered."""


class CrashedOut(TaskBridgeError):
    """A job was not run again, because its worker died too often while it ran."""


class StartedBefore(TaskBridgeError):
    """A job that runs at most once was not run again, because an execution of it has begun before."""


class RedriveRefused(TaskBridgeError):
    """A dead letter that cannot be redriven, or not now."""


class EnqueueError(TaskBridgeError):
    """A job was not confirmed by the broker."""

    def __init__(self, message: str, *, maybe_accepted: bool) -> None:
        super().__init__(message)
        self.maybe_accepted = maybe_accepted
        """True if the broker may hold the job all the same. The id makes a repeat harmless."""

    def __reduce__(self) -> tuple[object, ...]:
        # A task may raise it in a child of a worker, and what the parent cannot unpickle ends the whole worker.
        return (_enqueue_error, (type(self), str(self), self.maybe_accepted))


def _enqueue_error(kind: type[EnqueueError], message: str, maybe_accepted: bool) -> EnqueueError:
    return kind(message, maybe_accepted=maybe_accepted)


class BrokerUnavailable(EnqueueError):
    """The broker could not be reached within the stated time."""


class NoTransaction(TaskBridgeError):
    """Something that must be committed together with the caller's work was asked for outside of a transaction."""


class NotInTask(TaskBridgeError):
    """The context of a job was asked for where none runs."""


class StoreUnavailable(TaskBridgeError):
    """The store did not answer within its stated time."""


class ResultError(TaskBridgeError):
    """A result that cannot be given."""


class ResultUnavailable(ResultError):
    """Nothing is recorded under this id, or results are off for the task."""


class UnserialisableResult(ResultError, TypeError):
    """A task returned what would not arrive as it was returned, or a kept result no longer fits its annotation."""


class ResultTimeout(ResultError, TimeoutError):
    """The job did not end within the time that the caller would wait."""


class WaitsInTask(ResultError):
    """A task waited for a job, which may need the very worker that the task holds."""


class ResultNotReady(ResultError, ValueError):
    """The job has not ended yet. A `ValueError`, as `django.tasks` has it."""


class JobFailed(ResultError, ValueError):
    """The job has ended without a value; the message names the task's own error. A `ValueError`, as in Django."""

    def __init__(self, message: str, error: TaskError | None = None) -> None:
        super().__init__(message)
        self.error = error
        """Type, message and traceback of the last attempt's error; None if none is known: the job expired."""


class DeadlineExceeded(BaseException):
    """Raised inside a task whose `timeout` has passed.

    Not an `Exception`, so that `except Exception` in the task does not swallow it.
    """


class ProcessFailed(TaskBridgeError):
    """A process that we started did not start, did not get ready, or ended when it should run."""


class ServiceUnavailable(ConfigurationError):
    """This machine has no source for the server that was asked for. The message names the command that adds one."""


class TaskTimedOut(TaskBridgeError, TimeoutError):
    """What an engine is told of an attempt that was ended at its `timeout`."""


class TaskExited(TaskBridgeError):
    """What an engine is told of an attempt that asked its process to exit, or cancelled itself."""


class JobCancelled(TaskBridgeError):
    """What an engine is told of a job that was cancelled, where it files such jobs under those that failed."""


class JobExpired(TaskBridgeError):
    """What an engine is told of a job that was not started, where it files such jobs under those that failed."""
