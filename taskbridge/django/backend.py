"""`Backend`: every engine of TaskBridge as a backend of Django's own tasks.

    TASKS = {"default": {"BACKEND": "taskbridge.django.Backend", "OPTIONS": {"url": "rq+redis://localhost/0"}}}

The alias is one of TaskBridge's backends under the same name, which `taskbridge.task` and the command line use too.
OPTIONS may have the `url`, and beside it whatever may stand in its query; without one, TaskBridge's other settings say
where the alias is.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.signals import setting_changed

from taskbridge import errors
from taskbridge.django import announcing, framework
from taskbridge.django.adoption import AdoptedTask, adopt_loaded, adopted, options_of, value_of
from taskbridge.django.discovery import find_task
from taskbridge.django.results import as_enqueued, of_message, of_record
from taskbridge.django.task import Task
from taskbridge.refusals import check
from taskbridge.router import router
from taskbridge.settings import BackendURL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.core.checks import CheckMessage

    from taskbridge.capability import Capabilities
    from taskbridge.django.results import TaskResult
    from taskbridge.options import TaskOptions


class Backend(framework.BaseTaskBackend):
    """One alias of `TASKS`. Django makes one for each thread; what is expensive is the process's own."""

    task_class = Task
    supports_async_task = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        try:
            self._target = router.backend_settings(alias).target
        except errors.ConfigurationError as error:
            raise framework.InvalidTaskBackend(f"TASKS[{alias!r}]: {error}") from error

    @property
    def supports_defer(self) -> bool:  # type: ignore[override]  # a constant in Django
        """Whether this engine holds `run_after`."""
        record = self._record()
        return record is None or not record.run_after.is_refused

    @property
    def supports_priority(self) -> bool:  # type: ignore[override]  # as above
        """Whether this engine, as configured, has priorities."""
        record = self._record()
        return record is None or not record.priority.is_refused

    @property
    def supports_get_result(self) -> bool:  # type: ignore[override]  # as above
        """Whether there is a store."""
        record = self._record()
        return record is None or not record.result.is_refused

    def validate_task(self, task: Any) -> None:
        """Check the task by Django's rules, then against what this engine can hold.

        While Django still loads its applications no engine is asked: `manage.py check` and each enqueue do that.

        Raises `InvalidTask`.
        """
        if not isinstance(task, framework.Task):
            raise framework.InvalidTask(
                f"{task!r} is of another framework: with this version of Django, import task from {framework.MODULE}."
            )
        super().validate_task(task)
        record = self._record()
        with _as_django_says():
            options = options_of(task, result=_keeps_results(record))
            if record is not None:
                self._check(options)

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult:
        """Hand one job to the engine.

        Raises:
            InvalidTask: what is asked is refused; before any I/O.
            TypeError: the call does not fit the function, or a value would not arrive as it was sent.
            EnqueueError: the broker did not confirm; its `maybe_accepted` says whether it may hold the job.
        """
        self.validate_task(task)
        with _as_django_says():
            message, timing = self._adopted(task).send(tuple(args), dict(kwargs))
        result = of_message(message, task, self.alias, timing=timing)
        announcing.enqueued(result, type(self))
        return result

    def get_result(self, result_id: str) -> TaskResult:
        """What is recorded of a job of this alias.

        Raises:
            TaskResultDoesNotExist: nothing is, or it has expired.
            NotImplementedError: this engine has no store.
            StoreUnavailable: the store does not answer.
        """
        store = router.store(self.alias)
        if store is None:
            raise NotImplementedError(f"TASKS[{self.alias!r}] has no store of results: name one, OPTIONS['store'].")
        record = store.read(result_id)
        declared = find_task(record.task) if record is not None and record.backend == self.alias else None
        if record is None or declared is None:
            raise framework.TaskResultDoesNotExist(result_id)
        return of_record(record, as_enqueued(record, declared), value=value_of(record, declared))

    def check(self, **_: Any) -> list[CheckMessage]:
        """What is wrong with the alias and its tasks, for `manage.py check`."""
        from taskbridge.django.checks import backend_findings

        return list(backend_findings(self))

    def _record(self) -> Capabilities | None:
        if not apps.ready:
            return None
        with _as_django_says():
            return router.backend(self.alias).capabilities

    def _check(self, options: TaskOptions) -> None:
        is_strict = isinstance(self._target, BackendURL) and self._target.is_strict
        record = router.backend(self.alias).capabilities
        check(options, record, label=str(self._target), task=options.name, is_strict=is_strict)

    def _adopted(self, task: Any) -> AdoptedTask:
        make = _cached if task.run_after is None and _is_hashable(task) else _fresh
        return make(task, _keeps_results(self._record()))


def adopt_tasks() -> None:
    """Register every Django task of the modules that are loaded."""
    adopt_loaded(Backend)


def scheduled(task: Any, /) -> AdoptedTask | None:
    """The task for a schedule of a Django task of an alias of ours, where it is declared; None for anything else."""
    if not issubclass(type(task), framework.Task) or not isinstance(task.get_backend(), Backend):
        return None
    return AdoptedTask(task, options_of(task), Backend)


def _keeps_results(record: Capabilities | None) -> bool:
    return record is not None and not record.result.is_refused


def _fresh(task: Any, result: bool) -> AdoptedTask:
    return adopted(task, Backend).copy(options_of(task, result=result))


_cached = lru_cache(maxsize=1024)(_fresh)


def _is_hashable(task: Any) -> bool:
    try:
        hash(task)
    except TypeError:  # one of its options is a dictionary
        return False
    return True


@contextmanager
def _as_django_says() -> Iterator[None]:
    try:
        yield
    except (errors.InvalidTask, errors.UnsupportedFeature) as error:
        raise framework.InvalidTask(str(error)) from error
    except errors.ConfigurationError as error:
        raise framework.InvalidTaskBackend(str(error)) from error


def _read_again(*, setting: str, **_: Any) -> None:
    """Django's own signal, of `override_settings`: our settings are read from `TASKS`."""
    if setting == "TASKS":
        router.configure(router.configured)


setting_changed.connect(_read_again)
