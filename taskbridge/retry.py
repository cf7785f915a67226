"""`Retry`: which errors ask for another attempt, and when it starts. The same numbers on every engine."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taskbridge.errors import DeadlineExceeded, InvalidTask, UndecodableMessage

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_DELAY = timedelta(days=365)
"""No delay is longer: beyond it lies a mistake, or a date that no datetime can hold."""

_WIRE_FIELDS = {"attempts", "delay", "factor", "max_delay", "jitter"}


@dataclass(frozen=True, slots=True)
class Retry:
    """The policy for further attempts after an error.

    The delay after attempt `n` is `delay * factor ** (n - 1)`, at most `max_delay`. With `jitter` that is the ceiling
    of a uniformly random delay ("full jitter"), so that jobs which failed together do not come back together.

    An error that carries a `retry_after` (a timedelta, or a number of seconds as in HTTP's Retry-After) is heard: the
    delay is at least what it asks, beyond `max_delay` too, up to `LONGEST_DELAY`.

    Raises:
        InvalidTask: a value that makes no policy.
    """

    attempts: int
    """Attempts in all, the first included: 1 is no retry."""
    _: KW_ONLY
    delay: timedelta = timedelta(seconds=1)
    """The ceiling of the first delay."""
    factor: float = 2.0
    max_delay: timedelta = timedelta(minutes=10)
    jitter: bool = True
    on: tuple[type[BaseException], ...] | None = None
    """Errors that ask for another attempt. With `Exception` a timeout is one too; none of them: only `context.retry()`
    asks. None: not said, which only `using` allows, where the task's own are meant."""
    give_up_on: tuple[type[BaseException], ...] = ()
    """Errors that do not, although `on` has them."""

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            raise _invalid("attempts", self.attempts, "an int of at least 1 (the first attempt counts)")
        for name in ("delay", "max_delay"):
            value = getattr(self, name)
            if not isinstance(value, timedelta) or not timedelta(0) <= value <= LONGEST_DELAY:
                raise _invalid(name, value, f"a timedelta from 0 to {LONGEST_DELAY.days} days")
        if self.max_delay < self.delay:
            raise _invalid("max_delay", self.max_delay, f"no shorter than delay, {self.delay!r}")
        if type(self.factor) not in (int, float) or not 1 <= self.factor <= 1000:
            raise _invalid("factor", self.factor, "a number from 1 to 1000")
        if type(self.jitter) is not bool:
            raise _invalid("jitter", self.jitter, "True or False")
        if self.on is not None:
            on = _exception_types("on", self.on)
            if Exception in on and DeadlineExceeded not in on:
                on = (*on, DeadlineExceeded)
            object.__setattr__(self, "on", on)
        object.__setattr__(self, "give_up_on", _exception_types("give_up_on", self.give_up_on))

    def completed(self, declared: Retry | None, /) -> Retry:
        """This policy; where it does not say which errors are meant, those of the declared one.

        Raises:
            InvalidTask: neither says.
        """
        if self.on is not None:
            return self
        if declared is None or declared.on is None:
            raise InvalidTask(
                f"Retry({self.attempts}) does not say which errors ask for another attempt. Name those that pass by "
                f"themselves: on=(ConnectionError, TimeoutError). on=(Exception,) means every error, the task's own "
                f"bugs included; on=() leaves it to context.retry()."
            )
        return replace(self, on=declared.on, give_up_on=declared.give_up_on)

    def delay_after(self, attempt: int, /, *, fraction: float) -> timedelta:
        """The delay between attempt `attempt` (from 1) and the next; `fraction`, in [0, 1), is the jitter's dice."""
        ceiling = self._ceiling(attempt)
        return ceiling * fraction if self.jitter else ceiling

    @property
    def longest_delay(self) -> timedelta:
        """What the policy itself may come to; an error's `retry_after` may ask for more."""
        return self._ceiling(self.attempts - 1) if self.attempts > 1 else timedelta(0)

    def next_delay(self, attempt: int, error: BaseException, /, *, fraction: float) -> timedelta | None:
        """The delay after attempt `attempt` (from 1) ended with `error`, or None: give up."""
        if attempt >= self.attempts or isinstance(error, self.give_up_on) or not isinstance(error, self.on or ()):
            return None
        delay = self.delay_after(attempt, fraction=fraction)
        asked = _asked_by(error)
        return delay if asked is None else max(delay, asked)

    def to_wire(self) -> dict[str, Any]:
        """The numbers, as plain JSON values; durations in seconds. `on` and `give_up_on` stay with the task."""
        return {
            "attempts": self.attempts,
            "delay": self.delay.total_seconds(),
            "factor": self.factor,
            "max_delay": self.max_delay.total_seconds(),
            "jitter": self.jitter,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], /, *, declared: Retry | None = None) -> Retry:
        """The policy of one job: the numbers of its message, the `on` and `give_up_on` of its declared task.

        A task that declares no retry is retried on every error: its caller had to say so.

        Exception classes do not travel: a worker never looks up a name that a message brings.

        Raises:
            UndecodableMessage: what travelled is no policy.
        """
        if not isinstance(wire, dict) or not _WIRE_FIELDS.issuperset(wire) or "attempts" not in wire:
            raise UndecodableMessage(f"A retry policy has the members {sorted(_WIRE_FIELDS)}; the message has other.")
        try:
            numbers: dict[str, Any] = dict(wire)
            for name in ("delay", "max_delay"):
                if name in numbers:
                    numbers[name] = timedelta(seconds=numbers[name])
            return replace(declared, **numbers) if declared is not None else cls(**numbers, on=(Exception,))
        except (InvalidTask, TypeError, ValueError, OverflowError) as error:
            raise UndecodableMessage(f"The retry policy of a message cannot be read: {error}") from error

    def _ceiling(self, attempt: int) -> timedelta:
        if not self.delay:
            return self.delay
        # Compared as logarithms: factor ** attempt overflows a float long before attempts run out.
        room = math.log(self.max_delay / self.delay)
        if (attempt - 1) * math.log(self.factor) >= room:
            return self.max_delay
        return min(self.delay * self.factor ** (attempt - 1), self.max_delay)


def _asked_by(error: BaseException) -> timedelta | None:
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, timedelta):
        return min(max(asked, timedelta(0)), LONGEST_DELAY)
    if isinstance(asked, int | float) and not isinstance(asked, bool) and asked == asked:
        return timedelta(seconds=min(max(asked, 0), LONGEST_DELAY.total_seconds()))
    return None


def _exception_types(name: str, value: Any) -> tuple[type[BaseException], ...]:
    types = value if isinstance(value, tuple) else (value,)
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise _invalid(name, value, "an exception class or a tuple of them")
    return types


def _invalid(name: str, value: object, wanted: str) -> InvalidTask:
    return InvalidTask(f"Retry({name}={value!r}): {name} must be {wanted}.")
