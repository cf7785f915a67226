"""A behaviour: one test function in two halves, so that all jobs are enqueued together and awaited one by one.

The first half, up to `yield`, enqueues; the second waits for what must have happened. A behaviour of an option that the
backend refuses is not run: that the option is refused, in words, is what is tested instead.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskbridge.testing.suite.stage import Stage

Halves = Callable[["Stage"], Iterator[None]]


class Behaviour:
    """Both halves of one behaviour, and the options that it needs."""

    def __init__(self, halves: Halves, options: tuple[str, ...], *, is_bulky: bool) -> None:
        self.halves = halves
        self.options = options
        self.is_bulky = is_bulky
        self._running: Iterator[None] | None = None
        self._error: Exception | None = None

    def begin(self, stage: Stage) -> None:
        """Run the first half. What it raises is kept for the test's report."""
        if any(stage.expected[option].is_refused for option in self.options):
            return
        self._running = self.halves(stage)
        try:
            next(self._running)
        except StopIteration:
            self._running = None
        except Exception as error:  # noqa: BLE001 - raised again by `end`
            self._error = error

    def end(self, stage: Stage) -> None:
        """Run the second half, or see the option refused."""
        if self._error is not None:
            raise self._error
        for option in self.options:
            if stage.expected[option].is_refused:
                stage.must_refuse(option)
                return
        if self._running is not None:
            for _ in self._running:
                raise AssertionError("A behaviour has two halves, so one `yield`.")


def behaviour(*options: str, is_bulky: bool = False) -> Callable[[Halves], Callable[[Stage], None]]:
    """Make a test function out of two halves; `options` are fields of the capability record.

    What `is_bulky` enqueues so many jobs that the others' must stand before them.
    """

    def decorate(halves: Halves) -> Callable[[Stage], None]:
        held = Behaviour(halves, options, is_bulky=is_bulky)

        def test(stage: Stage) -> None:
            held.end(stage)

        functools.update_wrapper(test, halves)
        del test.__wrapped__  # type: ignore[attr-defined]  # pytest would look through it and find a generator
        test.behaviour = held  # type: ignore[attr-defined]  # read by the fixture that begins all of them
        return test

    return decorate
