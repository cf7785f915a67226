"""What a key is made of, and which keys are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import taskbridge
from taskbridge.errors import InvalidArguments, InvalidTask
from taskbridge.key import KEY_LIMIT, key_maker
from taskbridge.router import router
from taskbridge.testing.memory import MemoryBackend


@taskbridge.task(name="key.order", delivery="effectively_once", key="receipt:{order_id}")
def order(order_id: int) -> int:
    return order_id


def takes(first: int, /, order_id: int, *rest: int, note: str = "none", **named: int) -> None: ...


@pytest.mark.usefixtures("own_tasks")
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("{order_id}", "2"),
        ("{first}-{order_id:03}", "1-002"),
        ("{note!r}/{note}", "'none'/none"),
        (lambda note, first: f"{first}{note}", "1none"),
    ],
)
def test_a_key_is_made_of_the_arguments_however_they_are_given(key: Any, expected: str) -> None:
    task = taskbridge.task(name=f"key.takes-{expected}", delivery="effectively_once", key=key)(takes)
    make = key_maker(task)
    assert make is not None
    assert make((1, 2), {}) == make((1,), {"order_id": 2}) == make((1, 2, 3), {"note": "none", "x": 1}) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delivery": "effectively_once"}, "needs a key"),
        ({"key": "{order_id}"}, "delivery='effectively_once'"),
        ({"delivery": "effectively_once", "key": "{order}"}, r"'order'.*none of its parameters.*order_id"),
        ({"delivery": "effectively_once", "key": "{rest}"}, "none of its parameters"),
        ({"delivery": "effectively_once", "key": "{}"}, "name a parameter"),
        ({"delivery": "effectively_once", "key": "{0}"}, "name a parameter"),
        ({"delivery": "effectively_once", "key": "{note:{first}}"}, "name a parameter"),
        ({"delivery": "effectively_once", "key": "{order_id"}, "no template"),
        ({"delivery": "effectively_once", "key": 7}, "must be a template"),
        ({"delivery": "effectively_once", "key": lambda wrong: wrong}, "'wrong'"),
        ({"delivery": "effectively_once", "key": lambda *args: str(args)}, "name those of the task's"),
        ({"delivery": "effectively_once", "key": "{order_id}", "key_ttl": timedelta(0)}, "key_ttl"),
    ],
)
def test_a_key_that_cannot_work_is_refused_where_it_is_written(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTask, match=words):
        taskbridge.task(name="key.never", **options)(takes)


@pytest.mark.parametrize("value", ["", "x" * (KEY_LIMIT + 1), "a\0b", "two\nlines", 7])
def test_a_call_without_a_usable_key_is_refused(value: Any) -> None:
    taskbridge.configure("memory://")
    with pytest.raises(InvalidArguments, match="key of"):
        order.using(key=lambda order_id: value).enqueue(1)
    with pytest.raises(InvalidArguments, match="cannot be made"):
        order.using(key=lambda order_id: {}[order_id]).enqueue(1)
    router.configure(None)


def test_the_key_travels_with_its_own_time_where_a_call_asks_for_another() -> None:
    taskbridge.configure("memory://")
    backend = router.backend()
    assert isinstance(backend, MemoryBackend)
    order.enqueue(1)
    order.using(key="x{order_id}", key_ttl=timedelta(hours=1)).enqueue(order_id=2)
    sent = [(each.headers.key, each.headers.key_ttl) for each in backend.jobs if each.headers is not None]
    router.configure(None)
    assert sent == [("receipt:1", None), ("x2", 3600.0)]
