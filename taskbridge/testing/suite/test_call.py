"""What is sent arrives, and what would not arrive is not sent."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from taskbridge.errors import InvalidArguments
from taskbridge.testing.suite import tasks
from taskbridge.testing.suite.behaviour import behaviour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.suite.stage import Stage


@behaviour()
def test_a_job_runs_once(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.note.enqueue(key)
    yield
    stage.wait(key, "end")
    stage.settled()
    assert [event.kind for event in stage.ledger.events(key)] == ["start", "end"]


@behaviour()
def test_json_values_arrive_as_they_are(stage: Stage) -> Iterator[None]:
    key = stage.key()
    value = {"a": [1, 2.5, True, None, "text", {}], "": -0.5, "big": 2**62}
    tasks.echo.enqueue(key, value, option=[])
    yield
    (event,) = stage.wait(key, "end")
    assert event.data == {"value": value, "option": []}


@behaviour()
def test_unicode_arrives(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.echo.enqueue(key, 'zażółć 🙂 \u2028 \x00 "quoted" \\ %s {}')
    yield
    (event,) = stage.wait(key, "end")
    assert event.data["value"] == 'zażółć 🙂 \u2028 \x00 "quoted" \\ %s {}'


@behaviour()
def test_a_dict_that_looks_like_an_engines_own_tag_stays_a_dict(stage: Stage) -> Iterator[None]:
    key = stage.key()
    value = [{"__type__": "decimal", "__value__": "1"}, {"__t__": "x"}, {"__dramatiq__": 1}, {"value": 1}]
    tasks.echo.enqueue(key, value)
    yield
    (event,) = stage.wait(key, "end")
    assert event.data["value"] == value


@behaviour()
def test_a_megabyte_arrives(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.echo.enqueue(key, "x" * 1_000_000)
    yield
    (event,) = stage.wait(key, "end")
    assert len(event.data["value"]) == 1_000_000


@behaviour()
def test_annotated_values_arrive_in_their_types(stage: Stage) -> Iterator[None]:
    key = stage.key()
    when = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    values: tuple[Any, ...] = (
        when,
        Decimal("0.10"),
        (1, 2, 3),
        frozenset({"a"}),
        UUID(int=7),
        b"\x00\xff",
        tasks.Colour.RED,
        tasks.Address("x", date(2026, 1, 2)),
    )
    tasks.typed.enqueue(key, *values)
    yield
    (event,) = stage.wait(key, "end")
    assert event.data["values"] == [repr(value) for value in values]


@behaviour()
def test_names_that_engines_reserve_are_the_tasks_own(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.reserved.enqueue(
        key, timeout=1, retry=2, eta=3, id=4, priority=5, delay=6, expires=7, meta=8, args=[9], kwargs={}
    )
    yield
    (event,) = stage.wait(key, "end")
    assert event.data["values"] == [1, 2, 3, 4, 5, 6, 7, 8, [9], {}]


@behaviour()
def test_a_coroutine_runs_on_a_loop(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.on_loop.enqueue(key)
    yield
    stage.wait(key, "end")


@behaviour()
def test_enqueue_from_an_event_loop(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(5)]

    async def all_at_once() -> None:
        await asyncio.gather(*[tasks.note.aenqueue(key) for key in keys])

    asyncio.run(all_at_once())
    yield
    for key in keys:
        stage.wait(key, "end")


@behaviour()
def test_enqueue_from_many_threads(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(40)]
    threads = [
        threading.Thread(target=lambda part: [tasks.note.enqueue(key) for key in part], args=(keys[start::4],))
        for start in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield
    for key in keys:
        stage.wait(key, "end")


@behaviour()
def test_enqueue_after_fork(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(6)]
    tasks.note.enqueue(keys[0])
    children = []
    if not stage.is_in_process:
        for key in keys[1:4]:
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    tasks.note.enqueue(key)
                    code = 0
                finally:
                    os._exit(code)
            children.append(pid)
    else:
        for key in keys[1:4]:
            tasks.note.enqueue(key)
    for key in keys[4:]:
        tasks.note.enqueue(key)
    yield
    for pid in children:
        stage.until(lambda pid=pid: stage.has_exited_well(pid), f"the end of the child {pid}")  # type: ignore[misc]  # a default binds the loop's value
    for key in keys:
        stage.wait(key, "end")


@behaviour()
def test_many_jobs_at_once(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(1000)]
    handles = tasks.note.enqueue_many([(key,) for key in keys])
    assert len({handle.id for handle in handles}) == 1000
    yield
    stage.until(lambda: all(stage.ledger.events(key, "end") for key in keys), "1,000 ends")
    stage.settled()
    assert {key: len(stage.ledger.events(key, "end")) for key in keys} == dict.fromkeys(keys, 1)


@behaviour()
def test_one_bad_call_among_many_sends_none(stage: Stage) -> Iterator[None]:
    key = stage.key()
    with pytest.raises(InvalidArguments):
        tasks.note.enqueue_many([(key,), ()])
    yield
    stage.settled()
    assert stage.ledger.events(key) == []


@pytest.mark.parametrize(
    ("args", "names"),
    [
        ((), "key"),
        (("k", 1, 2), "3"),
        ((5,), "key"),
        (("k", {1, 2}), "value"),
        (("k", (1,)), "value"),
        (("k", float("nan")), "value"),
    ],
)
def test_a_call_that_would_not_arrive_is_refused(stage: Stage, args: tuple[Any, ...], names: str) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidArguments, match=names):
        tasks.echo.enqueue(*args)


def test_arguments_above_the_limit_are_refused(stage: Stage) -> None:
    with pytest.raises(InvalidArguments, match="size_limit"):
        tasks.echo.enqueue(stage.key(), "x" * 5_000_000)
