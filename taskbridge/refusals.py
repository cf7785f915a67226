"""What is refused when a task meets a backend, in words: before any I/O."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taskbridge.codec.unchanged import is_carried, is_unchanged
from taskbridge.errors import ConfigurationError, InvalidArguments, InvalidTask, UnsupportedFeature
from taskbridge.settings.suggestion import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskbridge.capability import Capabilities, Support
    from taskbridge.options import Declared, TaskOptions
    from taskbridge.timing import Timing


def refuse_main_module(task: Declared, /) -> None:
    """Refuse a task that only this script knows: a worker could not import it."""
    if task.function.__module__ == "__main__":
        raise InvalidTask(
            f"The task {task.function.__qualname__!r} lives in the script that is being run, and no worker can import "
            f"that. Move it to a module, say tasks.py, and write: from tasks import {task.function.__qualname__}"
        )


def unchanged(sent: Any, plain: Any, types: frozenset[type], argument: int | str, task: str, /) -> Any:
    """What a worker that TaskBridge does not run is to be given: the value as it was sent.

    Raises:
        InvalidArguments: it would receive another form.
    """
    if is_unchanged(sent, plain):
        return plain
    if is_carried(sent, types):
        return sent
    raise InvalidArguments(
        f"The argument {argument!r} of {task!r} is a {type(sent).__qualname__}, and the workers of ?workers=native "
        f"would receive its JSON form, {plain!r:.80}. Send that form, or let TaskBridge run the workers."
    )


def check_queue(name: str, known: Sequence[str], alias: str, task: str) -> None:
    """Refuse a queue that the settings do not list: no worker would serve it."""
    if name not in known:
        raise ConfigurationError(
            f"The task {task!r} names the queue {name!r}, which the backend {alias!r} does not have."
            f"{did_you_mean(name, known)} Queues are listed in the setting `queues`."
        )


def check(options: TaskOptions, record: Capabilities, /, *, label: str, task: str, is_strict: bool) -> None:
    """Hold a task's options against the backend's record.

    Raises:
        UnsupportedFeature: the first option that the backend refuses, with the reason.
    """
    asked: list[tuple[str, Support]] = []
    if options.delivery is not None:
        asked.append((f"delivery={options.delivery!r}", getattr(record, options.delivery)))
    written = {
        "retry": options.retry is not None,
        "timeout": options.timeout is not None,
        "expires": options.expires is not None,
        "run_after": options.run_after is not None,
        "priority": options.priority != 0,
        "result": options.result,
        "cancel": options.cancellable,
        "context": options.takes_context or bool(options.metadata),
    }
    asked += [(name, getattr(record, name)) for name, is_written in written.items() if is_written]
    for what, support in asked:
        if support.is_refused:
            raise UnsupportedFeature(f"{what} of the task {task!r} is refused on {label}: {support.note}")
        if is_strict and support.level == "emulated":
            raise UnsupportedFeature(
                f"{what} of the task {task!r} would be emulated on {label} ({support.note}), and strict=yes "
                f"refuses that."
            )
    if options.timeout is not None:
        check_timeout(options.timeout, record.timeout, label, task)
    if isinstance(options.run_after, timedelta):
        check_ceiling(options.run_after, record.run_after, label, task, is_strict=is_strict)
    if options.retry is not None:
        check_ceiling(options.retry.longest_delay, record.retry, label, task, is_strict=is_strict)


def check_timing(timing: Timing, options: TaskOptions, has_outbox: Callable[[], bool], /, *, label: str) -> None:
    """Refuse what no relay would hand on, and an order that nobody keeps.

    Raises:
        ConfigurationError: no outbox is set.
        UnsupportedFeature: the task's options do not fit the timing.
    """
    if timing == "outbox":
        if not has_outbox():
            raise ConfigurationError(
                f"timing='outbox' of the task {options.name!r} on {label}: no outbox is set, and nobody would hand the "
                f"rows on. Set TASKBRIDGE_OUTBOX to the URL of the database that your connections lead to, for "
                f"example postgresql://...; taskbridge worker relays it."
            )
    elif options.ordering_key is not None:
        raise UnsupportedFeature(
            f"ordering_key of the task {options.name!r} is refused on {label} with timing={timing!r}: only the outbox "
            f"has an order. Write timing='outbox', or take the key out."
        )


def check_timeout(timeout: timedelta, support: Support, label: str, task: str) -> None:
    """Refuse a limit that is longer than the broker lets a worker hold a job: it would be run twice."""
    if support.ceiling is not None and timeout > support.ceiling:
        raise UnsupportedFeature(
            f"timeout={timeout} of the task {task!r} is above what {label} lets a worker hold a job, "
            f"{support.ceiling}: {support.note}"
        )


def check_ceiling(delay: timedelta, support: Support, label: str, task: str, *, is_strict: bool) -> None:
    """Refuse a delay that the backend cannot hold safely, unless TaskBridge holds it in its place."""
    if support.ceiling is None or delay <= support.ceiling or (support.beyond is not None and not is_strict):
        return
    why = support.note if support.beyond is None else f"{support.beyond}, and strict=yes refuses that"
    raise UnsupportedFeature(
        f"A delay of {delay} for {task!r} is above what {label} holds safely, {support.ceiling}: {why}"
    )
