"""What a copy made by `using` says otherwise than the declared task, which is what the worker will know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskbridge.errors import InvalidTask
from taskbridge.message import NO_TIMEOUT
from taskbridge.retry import Retry

if TYPE_CHECKING:
    from taskbridge.options import TaskOptions


def overrides(
    options: TaskOptions, declared: TaskOptions, /
) -> tuple[float | None, dict[str, Any] | None, float | None]:
    """Timeout in seconds, retry as it travels, and for how many seconds a key is kept; None for what is as declared.

    Raises:
        InvalidTask: a retry whose errors the worker could not know.
    """
    if declared is options:
        return None, None, None
    timeout = retry = key_ttl = None
    if options.timeout != declared.timeout:
        timeout = options.timeout.total_seconds() if options.timeout else NO_TIMEOUT
    if options.retry != declared.retry:
        if options.retry is not None and declared.retry is None and Exception not in (options.retry.on or ()):
            raise InvalidTask(
                f"{options.name!r} declares no retry, and the classes of using(retry=Retry(on=...)) do not travel to "
                f"its workers, which would retry on every error. Declare the task with retry=Retry(..., on=...), or "
                f"write on=(Exception,)."
            )
        retry = (options.retry or Retry(1)).to_wire()
    if options.key_ttl != declared.key_ttl:
        key_ttl = options.key_ttl.total_seconds()
    return timeout, retry, key_ttl
