"""Many jobs at once on Celery and Redis: what lies on the lists is what Kombu would have laid there one by one."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from celery import Celery, signals
from kombu.entity import Exchange, Queue
from redis import Redis

from taskbridge.errors import EnqueueError
from taskbridge.identity import new_ids
from taskbridge.message import Headers, Message
from taskbridge.settings import parse_url
from taskbridge_celery import CeleryBackend
from tests.wire.record_celery import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEP = "\x06\x163"
TAG = rb'(?<="delivery_tag": ")[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'


def jobs(count: int, **fields: Any) -> list[Message]:
    headers = Headers(enqueued_at=datetime(2026, 3, 1, tzinfo=UTC), metadata={"tenant": "zurich"})
    return [
        Message(job_id, "shop.receipt", [number, ("Zoë", "Ann")[number % 2]], {}, "mail", headers=headers, **fields)
        for number, job_id in enumerate(new_ids(count))
    ]


def lying(url: str, key: str = "mail" + STEP) -> list[bytes]:
    """What lies on a list, oldest first, with the tags, which are all different, taken out."""
    with Redis.from_url(url) as redis:
        found = redis.lrange(key, 0, -1)[::-1]
        redis.delete(key)
    tags = {match.group() for element in found if (match := re.search(TAG, element))}
    assert len(tags) == len(found)
    return [re.sub(TAG, b"", element) for element in found]


def numbers(found: list[bytes]) -> list[int]:
    return [json.loads(base64.b64decode(json.loads(element)["body"]))[0][0] for element in found]


@pytest.fixture
def receive() -> Iterator[Callable[[Callable[..., None]], None]]:
    """Connects a receiver of Celery's signal for the time of the test."""
    connected: list[Callable[..., None]] = []

    def connect(receiver: Callable[..., None]) -> None:
        signals.before_task_publish.connect(receiver, weak=False)
        connected.append(receiver)

    yield connect
    for receiver in connected:
        signals.before_task_publish.disconnect(receiver)


@pytest.mark.parametrize("workers", ["", "?workers=native"])
def test_many_are_written_as_one_is(redis_url: str, workers: str) -> None:
    backend = CeleryBackend(parse_url(f"celery+{redis_url}{workers}"), queues=["mail"])
    batch = jobs(2_500, run_after=datetime(2030, 3, 1, tzinfo=UTC))
    batch[6].args[1] = "plain\x00\x1f\x7f\\/\n"
    batch[7].args[1] = 2**70
    batch[8].kwargs = {"tagged": {"__type__": "bytes", "__value__": "x"}} if not workers else {}
    batch[9].native = {"shadow": "receipt", "time_limit": 30}
    for message in batch[:20]:
        backend.enqueue([message])
    singly = lying(redis_url)
    with Redis.from_url(redis_url) as redis:
        before = redis.info("commandstats")["cmdstat_lpush"]["calls"]
        backend.enqueue(batch)
        assert redis.info("commandstats")["cmdstat_lpush"]["calls"] - before == 4
    together = lying(redis_url)
    assert together[:20] == singly
    assert numbers(together) == list(range(2_500))
    assert set(json.loads(together[5])) == set(json.loads(load("plain")))
    backend.close()


def test_jobs_of_all_priorities_and_queues_stay_in_their_order(redis_url: str) -> None:
    backend = CeleryBackend(parse_url(f"celery+{redis_url}"), queues=["mail", "slow"])
    batch = jobs(60)
    for number, message in enumerate(batch):
        message.priority = (50, 0, -10)[number % 3]
        message.queue_name = ("mail", "slow")[number % 2]
    backend.enqueue(batch)
    backend.close()
    for rest, step in enumerate(("", STEP, "\x06\x166")):
        for queue in ("mail", "slow"):
            wanted = [number for number in range(60) if number % 3 == rest and number % 2 == (queue == "slow")]
            assert numbers(lying(redis_url, queue + step)) == wanted


def test_what_a_receiver_adds_has_kombus_form(redis_url: str, receive: Callable[[Callable[..., None]], None]) -> None:
    added = {"trace": "abc", "price": Decimal("1.5"), "user": UUID(int=7), "at": [datetime(2026, 3, 1, tzinfo=UTC)]}
    receive(lambda headers, **_: headers.update(added))
    backend = CeleryBackend(parse_url(f"celery+{redis_url}"), queues=["mail"])
    batch = jobs(4)
    for message in batch:
        backend.enqueue([message])
    singly = lying(redis_url)
    backend.enqueue(batch)
    assert lying(redis_url) == singly
    assert json.loads(singly[3])["headers"]["price"] == {"__type__": "decimal", "__value__": "1.5"}
    backend.close()


def test_an_applications_own_queues_keep_their_prefix_expiry_and_exchange(redis_url: str) -> None:
    app = Celery("own", broker=redis_url, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "own:"}
    app.conf.task_queues = [
        Queue("mail", Exchange("mail"), "mail", expires=3_600),
        Queue("topical", Exchange("topics", type="topic"), "receipts.#"),
        Queue("all", Exchange("all", type="fanout")),
    ]
    backend = CeleryBackend(app=app, queues=["mail", "topical", "all"])
    backend.enqueue(jobs(5))
    batch = jobs(5)
    for message in batch:
        message.queue_name = "topical"
    backend.enqueue(batch)
    with Redis.from_url(redis_url) as redis, redis.pubsub() as listener:
        assert redis.llen("own:mail" + STEP) == 5
        assert redis.pttl("own:mail" + STEP) > 0
        assert numbers(lying(redis_url, "own:topical" + STEP)) == list(range(5))
        listener.psubscribe("*")
        for message in batch:
            message.queue_name = "all"
        backend.enqueue(batch)
        heard = [listener.get_message(timeout=30) for _ in range(6)]
        assert [each["type"] for each in heard if each] == ["psubscribe", *["pmessage"] * 5]
    backend.close()


def test_a_list_that_is_none_is_told_and_the_connection_stays_good(redis_url: str) -> None:
    backend = CeleryBackend(parse_url(f"celery+{redis_url}"), queues=["mail"])
    with Redis.from_url(redis_url) as redis:
        redis.set("mail" + STEP, "a text")
        with pytest.raises(EnqueueError, match="WRONGTYPE"):
            backend.enqueue(jobs(5))
        redis.delete("mail" + STEP)
    backend.enqueue(jobs(5))
    assert numbers(lying(redis_url)) == list(range(5))
    backend.close()
