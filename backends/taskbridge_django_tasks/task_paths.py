"""What the dotted path in a job leads to: a task of Django's own decorator, or one of TaskBridge's."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from django.utils.module_loading import import_string

from taskbridge.registry import registry
from taskbridge.task import Task as TaskBridgeTask


def imported(path: str, kind: type[Any] | tuple[type[Any], ...], /) -> Any:
    """The Django Task that a path leads to, imported if need be; None if it leads to anything else."""
    try:
        found = import_string(path)
    except ImportError:
        return None
    return found if isinstance(found, kind) else None


@lru_cache(maxsize=1024)
def loaded(path: str, alias: str, kind: type[Any], /) -> Any:
    """The Django Task, made of ours if need be, that a path leads to in this process; None if there is none."""
    module, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    if isinstance(found, kind):
        return found
    if isinstance(found, TaskBridgeTask):
        return kind(func=found.function, backend=alias, queue_name=found.options.queue_name)
    return None


def tells_itself(path: str, /) -> bool:
    """Whether the task itself tells of its jobs, by the signals of the API under which it was declared."""
    task = registry.get(path)
    return task is not None and task.has_signals
