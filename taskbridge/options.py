"""The options of a task and of a call: what each may be, checked where it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args

import msgspec

from taskbridge.codec.limits import Lossy
from taskbridge.codec.plain import copy_plain
from taskbridge.errors import InvalidTask
from taskbridge.retry import Retry
from taskbridge.settings.suggestion import did_you_mean
from taskbridge.store.key import DEFAULT_KEY_TTL
from taskbridge.timing import Timing

Delivery = Literal["at_least_once", "at_most_once", "effectively_once"]

LONGEST_ORDERING_KEY = 500

LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100
_ABOVE_ZERO = "a timedelta above zero"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """Everything that may be said about a task besides its body. Meanings: `docs/options.md`."""

    name: str = ""
    queue_name: str = "default"
    priority: int = 0
    """-100..100, larger sooner."""
    retry: Retry | None = None
    timeout: timedelta | None = None
    expires: timedelta | datetime | None = None
    """Latest start: an aware moment, or a time from the enqueue on."""
    run_after: timedelta | datetime | None = None
    """Earliest start: an aware moment, or a time from the enqueue on."""
    result: bool = False
    takes_context: bool = False
    delivery: Delivery | None = None
    """None: the best that the backend holds."""
    cancellable: bool = False
    """May be cancelled although it has no result, and terminated while it runs."""
    key: str | Callable[..., str] | None = None
    """What is done once: a template over the arguments, or a function of those that it names."""
    key_ttl: timedelta = DEFAULT_KEY_TTL
    """How long it is known, after a success, that the key has been done."""
    native: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    """Engine to options for that engine alone."""
    backend: str = "default"
    timing: Timing | None = None
    """None: as the backend's URL says, `now` unless it says otherwise."""
    ordering_key: str | None = None
    """Jobs of one key leave the outbox in the order in which they were written."""
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    """Plain JSON values that travel beside the arguments."""

    def changed(self, changes: Mapping[str, Any], /, *, fixed: frozenset[str] = frozenset()) -> TaskOptions:
        """A checked copy with some options set.

        Raises:
            InvalidTask: an unknown option, one in `fixed`, or a value that no backend could hold.
        """
        known = [option.name for option in fields(self)]
        for name in changes:
            if name not in known:
                raise InvalidTask(f"Unknown option {name!r}.{did_you_mean(name, known)}")
            if name in fixed:
                raise InvalidTask(f"{name!r} belongs to the declaration of a task and cannot be changed for one call.")
        if changes.get("metadata"):
            changes = {**changes, "metadata": _plain(changes["metadata"])}
        if isinstance(retry := changes.get("retry"), Retry):
            changes = {**changes, "retry": retry.completed(self.retry)}
        options = replace(self, **changes)
        options.check()
        return options

    def check(self) -> None:
        """Refuse, with `InvalidTask`, values that no backend could hold."""
        _want(isinstance(self.name, str), "name", self.name, "a string")
        _want(isinstance(self.queue_name, str) and self.queue_name != "", "queue_name", self.queue_name, "a name")
        _want(type(self.priority) is int, "priority", self.priority, "a whole number")
        _want(
            LOWEST_PRIORITY <= self.priority <= HIGHEST_PRIORITY,
            "priority",
            self.priority,
            f"from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, larger sooner",
        )
        _want(self.retry is None or isinstance(self.retry, Retry), "retry", self.retry, "a taskbridge.Retry")
        _want(
            self.timeout is None or (isinstance(self.timeout, timedelta) and self.timeout > timedelta(0)),
            "timeout",
            self.timeout,
            _ABOVE_ZERO,
        )
        _check_moment("expires", self.expires)
        _check_moment("run_after", self.run_after)
        _want(type(self.result) is bool, "result", self.result, "True or False")
        _want(type(self.takes_context) is bool, "takes_context", self.takes_context, "True or False")
        _want(type(self.cancellable) is bool, "cancellable", self.cancellable, "True or False")
        choices = get_args(Delivery)
        _want(self.delivery in (None, *choices), "delivery", self.delivery, f"one of {', '.join(choices)}")
        _want(isinstance(self.backend, str), "backend", self.backend, "an alias from the settings")
        timings = get_args(Timing)
        _want(self.timing in (None, *timings), "timing", self.timing, f"one of {', '.join(timings)}")
        _want(
            self.ordering_key is None or (isinstance(self.ordering_key, str) and _is_key(self.ordering_key)),
            "ordering_key",
            self.ordering_key,
            f"a text of 1 to {LONGEST_ORDERING_KEY} characters that can be printed",
        )
        if self.delivery == "at_most_once" and self.retry is not None:
            raise InvalidTask("delivery='at_most_once' and retry contradict each other: take one of them out.")
        _want(self.key is None or isinstance(self.key, str) or callable(self.key), "key", self.key, "a template")
        _want(isinstance(self.key_ttl, timedelta) and self.key_ttl > timedelta(0), "key_ttl", self.key_ttl, _ABOVE_ZERO)
        if self.delivery == "effectively_once" and not self.key:
            raise InvalidTask(
                "delivery='effectively_once' needs a key, by which a second delivery is known: key='order:{order_id}', "
                "a template over the task's parameters."
            )
        if self.key is not None and self.delivery != "effectively_once":
            raise InvalidTask("key says what is done once: write delivery='effectively_once' with it.")


class Declared(Protocol):
    """A function under its options: what is known of a task before it meets a backend."""

    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def options(self) -> TaskOptions: ...


def _plain(metadata: Any) -> dict[str, Any]:
    """A copy of what will travel as JSON, which a later change by the caller does not reach."""
    _want(isinstance(metadata, Mapping), "metadata", metadata, "a mapping of names to plain JSON values")
    try:
        copied = copy_plain(dict(metadata))
        msgspec.json.encode(copied)
    except Lossy as loss:
        raise InvalidTask(f"metadata{loss.path} would not arrive as it is: {loss.reason}.") from None
    except (OverflowError, msgspec.MsgspecError) as error:
        raise InvalidTask(f"metadata={metadata!r:.200} cannot travel: {error}.") from None
    assert isinstance(copied, dict)
    return copied


def _check_moment(option: str, value: timedelta | datetime | None) -> None:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidTask(
                f"{option}={value!r} is a naive datetime, and engines disagree about its zone. Give it one: "
                f"datetime.now(timezone.utc), or django.utils.timezone.now()."
            )
        return
    _want(
        value is None or (isinstance(value, timedelta) and value >= timedelta(0)),
        option,
        value,
        "an aware datetime, or a timedelta that is not negative",
    )


def _is_key(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ORDERING_KEY and text.isprintable()


def _want(is_right: bool, option: str, value: object, wanted: str) -> None:
    if not is_right:
        raise InvalidTask(f"{option}={value!r} is not possible: it must be {wanted}.")
