"""What a type checker says of a declared task. Checked by `make types`; never run.

A line that must be refused carries `type: ignore`: mypy is strict about unused ones, so it fails once it is accepted.
"""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_type

if TYPE_CHECKING:
    from taskbridge import Context, Retry, TaskResult, task

    @task
    def receipt(order: int, copy_to: str | None = None) -> str: ...

    @task(queue_name="mail", retry=Retry(attempts=3, on=(Exception,)), timeout=timedelta(seconds=5))
    def reminder(order: int) -> None: ...

    @task
    async def fetch(url: str) -> bytes: ...

    @task(takes_context=True)
    def report(context: Context, day: str) -> int: ...

    def a_direct_call_gives_what_the_function_gives() -> None:
        assert_type(receipt(1), str)
        assert_type(receipt(1, copy_to="boss"), str)
        pending: Coroutine[Any, Any, bytes] = assert_type(fetch("/"), Coroutine[Any, Any, bytes])
        pending.close()

    def enqueue_takes_the_arguments_and_gives_a_handle_on_the_value() -> None:
        assert_type(receipt.enqueue(1, copy_to=None), TaskResult[str])
        assert_type(reminder.enqueue(order=1), TaskResult[None])
        assert_type(fetch.enqueue("/"), TaskResult[bytes])
        assert_type(receipt.enqueue(1).wait(timedelta(seconds=1)), str)
        assert_type(receipt.enqueue(1).return_value, str)
        assert_type(receipt.using(priority=5).enqueue(1), TaskResult[str])
        assert_type(receipt.enqueue_many([(1,), (2, "boss")]), list[TaskResult[str]])
        assert_type(receipt.get_result("id"), TaskResult[str])

    def the_context_is_given_by_the_worker() -> None:
        assert_type(report.enqueue("monday"), TaskResult[int])
        assert_type(report.enqueue(day="monday"), TaskResult[int])

    async def the_asynchronous_calls_give_the_same() -> None:
        assert_type(await receipt.aenqueue(1), TaskResult[str])
        assert_type(await fetch.aenqueue("/"), TaskResult[bytes])
        assert_type(await fetch.acall("/"), bytes)
        assert_type(await receipt.acall(1), str)

    def a_wrong_call_is_refused() -> None:
        receipt.enqueue("1")  # type: ignore[arg-type]  # a string is no int
        receipt.enqueue()  # type: ignore[call-arg]  # the order is missing
        receipt.enqueue(1, copy=2)  # type: ignore[call-arg]  # there is no such argument
        receipt("1")  # type: ignore[arg-type]  # a direct call has the function's own signature
        report.enqueue(1)  # type: ignore[arg-type]  # the first argument after the context
