"""A function that can be enqueued."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    ParamSpec,
    TypeVar,
    cast,
)

from taskbridge.key import key_maker
from taskbridge.router import router

if TYPE_CHECKING:
    from taskbridge.binding import Binding
    from taskbridge.codec import Codec
    from taskbridge.context import Context, Running
    from taskbridge.message import Message, Outcome
    from taskbridge.options import TaskOptions
    from taskbridge.result import TaskResult

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

_DECLARED_ONLY = frozenset({"name", "takes_context", "native"})


class Task(Generic[P, R, C]):
    """A declared function: `P` its arguments, `R` what a job of it gives, `C` what a direct call gives.

    Calling it runs the function here and now. `enqueue` hands a job to the backend that the settings name.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_binding",
        "_connection",
        "codec",
        "function",
        "is_coroutine",
        "module_path",
        "options",
    )

    keeps_arguments: ClassVar[bool] = False
    """Whether the record of a job shows what it was called with."""
    has_signals: ClassVar[bool] = False
    """Whether the task itself tells of its jobs, by the signals of the API under which it was declared."""

    do_not_call_in_templates: ClassVar[bool] = True
    """Read by Django: a template that names the task does not run it."""

    function: Callable[..., C]
    options: TaskOptions
    module_path: str
    """`module.function`: where the task can be imported from."""
    is_coroutine: bool

    def __init__(
        self,
        function: Callable[..., C],
        options: TaskOptions,
        codec: Codec,
        module_path: str,
        *,
        connection: object = None,
        binding: Binding[R] | None = None,
    ) -> None:
        self.function = function
        self.is_coroutine = inspect.iscoroutinefunction(function)
        self.options = options
        self.codec = codec
        self.module_path = module_path
        self._binding = binding
        self._connection = connection
        functools.update_wrapper(self, function)

    @property
    def name(self) -> str:
        """TaskBridge's name of the task; adapters derive the wire name from it."""
        return self.options.name

    @property
    def func(self) -> Callable[..., C]:
        """The function itself, under Django's name for it."""
        return self.function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> C:
        return self.function(*args, **kwargs)

    call = __call__

    async def acall(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here, in a thread if it is no coroutine function."""
        if self.is_coroutine:
            return await cast("Awaitable[R]", self.function(*args, **kwargs))
        import asyncio

        return cast("R", await asyncio.to_thread(self.function, *args, **kwargs))

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Hand one job to the backend.

        Raises:
            InvalidArguments: the call does not fit the signature, or a value would not arrive as it was sent.
            UnsupportedFeature: the backend refuses an option; raised before any I/O.
            EnqueueError: the broker did not confirm; its `maybe_accepted` says whether it may hold the job.
        """
        return self._bound().enqueue(args, kwargs, connection=self._connection)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """`enqueue` for a caller on an event loop, which it does not block."""
        return await self._bound().aenqueue(args, kwargs, connection=self._connection)

    def enqueue_many(self, calls: Iterable[tuple[Any, ...] | Mapping[str, Any]], /) -> list[TaskResult[R]]:
        """Hand many jobs over at once, in one round trip where the broker allows it.

        Each call is a tuple of positional arguments, or a mapping of keyword arguments. All are checked before any
        is sent.

        Raises:
            As `enqueue`.
        """
        return self._bound().enqueue_many([_split(call) for call in calls], connection=self._connection)

    def using(self, *, connection: object = None, **changes: Any) -> Task[P, R, C]:
        """A copy with other options for its calls; the task itself does not change.

        Args:
            connection: whose transaction the timings `on_commit` and `outbox` mean: a Django alias (None: the one
                that Django's routers choose), a SQLAlchemy session or connection, or a connection of sqlite3 or
                psycopg.
            changes: the options.

        Raises:
            InvalidTask: an unknown option, one that belongs to the declaration, or an impossible value.
        """
        options = self.options.changed(changes, fixed=_DECLARED_ONLY) if changes else self.options
        copy = self.copy(
            options,
            connection=self._connection if connection is None else connection,
            binding=None if changes else self._bound(),
        )
        if "key" in changes:
            key_maker(copy)
        return copy

    def copy(
        self, options: TaskOptions, /, *, connection: object = None, binding: Binding[R] | None = None
    ) -> Task[P, R, C]:
        """A copy with these options, which are checked already."""
        # Not by `__init__`, which would find out again what is known: with an outbox each job has a copy.
        copy = object.__new__(type(self))
        copy.function, copy.is_coroutine, copy.module_path = self.function, self.is_coroutine, self.module_path
        copy.options, copy.codec = options, self.codec
        copy._binding, copy._connection = binding, connection
        copy.__dict__.update(self.__dict__)
        return copy

    def get_result(self, job_id: str, /) -> TaskResult[R]:
        """The handle of a job that was enqueued earlier, by anyone."""
        return self._bound().result(job_id)

    async def aget_result(self, job_id: str, /) -> TaskResult[R]:
        """`get_result` for a caller on an event loop."""
        return self.get_result(job_id)

    def ticked(self, message: Message, /) -> None:
        """The job of a schedule is on its broker."""

    def ended(self, attempt: Running, outcome: Outcome, /) -> None:
        """In a worker: no further attempt of this job follows."""

    def _bound(self) -> Binding[R]:
        binding = self._binding
        if binding is None or binding.generation is not router.generation:
            binding = self._binding = router.bind(self)
        return binding

    def __repr__(self) -> str:
        return f"<task {self.name}>"


class ContextTask(Task[P, R, C]):
    """A task whose function takes the `Context` of its attempt first."""

    __slots__ = ()

    def __call__(self, context: Context, /, *args: P.args, **kwargs: P.kwargs) -> C:  # type: ignore[override]  # the context is the worker's to give
        return self.function(context, *args, **kwargs)

    call = __call__  # type: ignore[assignment]  # as above


def _split(call: tuple[Any, ...] | Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return ((), dict(call)) if isinstance(call, Mapping) else (tuple(call), {})
