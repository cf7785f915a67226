"""`Task`: Django's, with TaskBridge's options as keywords of its decorator and of `using`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from msgspec import UNSET, UnsetType

from taskbridge.django import framework
from taskbridge.django.keywords import NAMES, options_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Self

    from taskbridge.options import Delivery
    from taskbridge.retry import Retry
    from taskbridge.timing import Timing

OF_USING = ("priority", "queue_name", "run_after", "backend")
"""What Django's own `using` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(framework.Task):  # type: ignore[type-arg]  # Django's own has no parameters, the package's has
    """What Django's decorator makes for an alias of ours. UNSET: not said, so that the default holds."""

    retry: Retry | UnsetType | None = UNSET
    timeout: timedelta | UnsetType | None = UNSET
    expires: timedelta | datetime | UnsetType | None = UNSET
    result: bool | UnsetType = UNSET
    delivery: Delivery | UnsetType | None = UNSET
    cancellable: bool | UnsetType = UNSET
    key: str | Callable[..., str] | UnsetType | None = UNSET
    key_ttl: timedelta | UnsetType = UNSET
    native: Mapping[str, Mapping[str, Any]] | UnsetType = UNSET
    metadata: Mapping[str, Any] | UnsetType = UNSET
    timing: Timing | UnsetType | None = UNSET
    ordering_key: str | UnsetType | None = UNSET

    def using(self, **changes: Any) -> Self:
        """A copy with other options; a `run_after` that is a timedelta counts from now."""
        of_django = {name: changes.pop(name) for name in OF_USING if name in changes}
        if isinstance(of_django.get("run_after"), timedelta):
            of_django["run_after"] = timezone.now() + of_django["run_after"]
        copy = framework.Task.using(self, **of_django)
        return replace(copy, **changes) if changes else copy


def said(task: Any, /) -> dict[str, Any]:
    """The options of TaskBridge that a Django task of any class has."""
    own = {name: value for name in NAMES if (value := getattr(task, name, UNSET)) is not UNSET}
    return {**options_on(task.func), **own}
