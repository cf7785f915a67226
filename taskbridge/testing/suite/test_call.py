"""What is sent arrives, and what would not arrive is not sent."""

from __future__ import annotations

import asyncio
import os
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

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
    value = [{"__type__": "decimal", "__value__": "1"}, {"__t__": "x"}, {"__actor__": 1}, {"value": 1}]
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
def test_names_that_engines_reserve_are_the_tasks_own(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.reserved.enqueue(
        key, timeout=1, retry=2, eta=3, id=4, priority=5, delay=6, expires=7, meta=8, args=[9], kwargs={}
    )
    yield
    (event,) = stage.wait(key, "end")
    assert event.data["values"] == [1, 2, 3, 4, 5, 6, 7, 8, [9], {}]


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
def test_keyword_arguments_alone_arrive(stage: Stage) -> Iterator[None]:
    key = stage.key()
    tasks.echo.enqueue(key=key, value=[1], option={"a": None})
    yield
    assert stage.wait(key, "end")[0].data == {"value": [1], "option": {"a": None}}


@behaviour()
def test_arguments_of_every_kind_arrive_in_their_places(stage: Stage) -> Iterator[None]:
    keys = [stage.key() for _ in range(3)]
    tasks.defaults.enqueue(keys[0])
    tasks.defaults.enqueue(keys[1], 2, "a", "b", flag=True, key="not the first", ü=[None])
    tasks.defaults.enqueue_many([(keys[2], 3)])
    yield
    values = [stage.wait(key, "end")[0].data["values"] for key in keys]
    assert values == [
        [1, [], False, {}],
        [2, ["a", "b"], True, {"key": "not the first", "ü": [None]}],
        [3, [], False, {}],
    ]


@behaviour()
def test_what_changes_after_the_enqueue_does_not_change_the_job(stage: Stage) -> Iterator[None]:
    key = stage.key()
    value = [1]
    tasks.echo.enqueue(key, value)
    value.append(2)
    yield
    assert stage.wait(key, "end")[0].data["value"] == [1]


@behaviour()
def test_deep_nesting_and_long_numbers_arrive(stage: Stage) -> Iterator[None]:
    key = stage.key()
    value: Any = [2**63 - 1, -(2**63), 1e-320, 1.7976931348623157e308, 0.1 + 0.2]
    for _ in range(60):
        value = {"deeper": value}
    tasks.echo.enqueue(key, value)
    yield
    assert stage.wait(key, "end")[0].data["value"] == value


def test_a_direct_call_runs_here_and_now(stage: Stage) -> None:
    assert stage.backend is not None
    assert tasks.add(1, Decimal(2)) == 3
    assert asyncio.run(tasks.add.acall(1, b=Decimal(2))) == 3


@pytest.mark.parametrize(
    ("args", "names"),
    [
        ((), "key"),
        (("k", 1, 2), "3"),
        ((5,), "key"),
        (("k", {1, 2}), "value"),
        (("k", (1,)), "value"),
        (("k", float("nan")), "value"),
        (("k", "\ud800"), "value"),
        (("k", {1: "a number as a key"}), "value"),
        (("k", object()), "value"),
    ],
)
def test_a_call_that_would_not_arrive_is_refused(stage: Stage, args: tuple[Any, ...], names: str) -> None:
    assert stage.backend is not None
    with pytest.raises(InvalidArguments, match=names):
        tasks.echo.enqueue(*args)


def test_arguments_above_the_limit_are_refused(stage: Stage) -> None:
    with pytest.raises(InvalidArguments, match="size_limit"):
        tasks.echo.enqueue(stage.key(), "x" * 5_000_000)
