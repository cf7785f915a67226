"""Tasks declared under Django's own decorator, as tasks of TaskBridge."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from msgspec import UNSET

from taskbridge.context import current
from taskbridge.django import announcing, framework
from taskbridge.django.codec import DjangoCodec
from taskbridge.django.discovery import find
from taskbridge.django.task import said
from taskbridge.errors import InvalidTask, UnserialisableResult
from taskbridge.message import Done
from taskbridge.options import TaskOptions
from taskbridge.registry import registry
from taskbridge.task import Task
from taskbridge.worker.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.context import Running
    from taskbridge.message import Message, Outcome
    from taskbridge.store import Record
    from taskbridge.timing import Timing


class AdoptedTask(Task[..., Any, Any]):
    """One Django task. It runs with Django's context, and tells of its jobs by Django's signals."""

    keeps_arguments: ClassVar[bool] = True
    has_signals: ClassVar[bool] = True

    __slots__ = ("declared", "sender")

    def __init__(self, declared: Any, options: TaskOptions, sender: type[Any], **of_copy: Any) -> None:
        """`sender` is the class that Django's signals name."""
        super().__init__(_begun(declared, sender), options, codec_of(declared), declared.module_path, **of_copy)
        self.is_coroutine = inspect.iscoroutinefunction(declared.func)
        self.declared = declared
        self.sender = sender

    def ended(self, attempt: Running, outcome: Outcome, /) -> None:
        assert isinstance(attempt, Attempt)
        record, value = announcing.known(attempt, outcome), None
        if record.value is not UNSET:
            value = value_of(record, self.declared)
        elif isinstance(outcome, Done):
            value = self._arrived(outcome.value)
        announcing.ended(record, self.declared, value, self.sender)

    def _arrived(self, value: Any) -> Any:
        try:
            return self.codec.decode_result(self.codec.encode_result(value))
        except UnserialisableResult:  # results are off: nobody has asked whether it can be kept
            return value

    def send(self, args: tuple[Any, ...], kwargs: dict[str, Any], /) -> tuple[Message, Timing]:
        """`enqueue`, for whoever needs the message, and to know what became of it."""
        return self._bound().send(args, kwargs)

    def ticked(self, message: Message, /) -> None:
        announcing.ticked(message, self.declared, self.options.backend, self.sender)

    def copy(self, options: TaskOptions, /, **of_copy: Any) -> AdoptedTask:
        return AdoptedTask(self.declared, options, self.sender, **of_copy)


def codec_of(declared: Any, /) -> DjangoCodec:
    """What reads and writes the calls and results of a Django task."""
    return _codec(declared.func, declared.module_path, declared.takes_context)


def value_of(record: Record, declared: Any, /) -> Any:
    """What the task returned, by its annotation; None if nothing is recorded."""
    return None if record.value is UNSET else codec_of(declared).decode_result(record.value)


@functools.lru_cache(maxsize=1024)
def _codec(function: Callable[..., Any], name: str, takes_context: bool) -> DjangoCodec:
    return DjangoCodec(function, name=name, takes_context=takes_context)


def options_of(task: Any, /, *, result: bool = False) -> TaskOptions:
    """The options of a Django task, `result` if it does not say.

    Raises:
        InvalidTask: an impossible value.
    """
    run_after = task.run_after
    if run_after is not None and timezone.is_naive(run_after):
        run_after = timezone.make_aware(run_after)
    changes = {
        "queue_name": task.queue_name,
        "priority": int(task.priority),
        "run_after": run_after,
        "takes_context": task.takes_context,
        "backend": task.backend,
        "result": result,
    }
    return TaskOptions(name=task.module_path).changed(changes | said(task))


def adopted(task: Any, sender: type[Any], /) -> AdoptedTask:
    """The registered task for a Django task, which may be a copy made by `using`.

    Raises:
        InvalidTask: a worker could not find it.
    """
    known = registry.get(task.module_path)
    if isinstance(known, AdoptedTask) and known.declared.func is task.func:
        return known
    declared = find(task.module_path)
    if declared is None or declared.func is not task.func:
        raise InvalidTask(
            f"{task.module_path} is no task of {framework.MODULE}, so that a worker could not find it. Put @task on "
            f"the function itself, at the top level of its module."
        )
    new = AdoptedTask(declared, options_of(declared), sender)
    registry.add(new)
    return new


def adopt_loaded(sender: type[Any], /) -> None:
    """Register every Django task of the modules that are loaded."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            # Not isinstance, which asks lazy objects for their class and so wakes them up.
            if issubclass(type(value), framework.Task) and find(f"{module.__name__}.{name}") is value:
                adopted(value, sender)


def _begun(declared: Any, sender: type[Any]) -> Callable[..., Any]:
    """The function, which first tells that it begins, and takes Django's context in the place of ours."""
    function = declared.func

    @functools.wraps(function)
    def begin(*args: Any, **kwargs: Any) -> Any:
        attempt = current.get()
        assert isinstance(attempt, Attempt)
        result = announcing.begun(declared, attempt, sender)
        if declared.takes_context:
            args = (framework.TaskContext(task_result=result), *args[1:])
        return function(*args, **kwargs)

    return begin
