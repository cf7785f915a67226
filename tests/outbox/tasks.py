"""The tasks of these tests."""

from __future__ import annotations

from taskbridge import Context, task


@task
def note(word: str) -> None:
    """What is enqueued; most tests only look at whether it was."""


@task(result=True)
def double(number: int) -> int:
    return number * 2


@task(native={"memory": {"shape": dict}})
def with_a_class() -> None:
    """Its native options have no JSON form."""


@task(takes_context=True)
def told(context: Context, word: str) -> None:
    """Says by its metadata who enqueued it."""
