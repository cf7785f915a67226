"""What only the store on Redis promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import redis

from taskbridge.errors import StoreUnavailable
from taskbridge.store import Failed, NewRecord, Retrying, Started, Succeeded, TaskError, open_store
from taskbridge.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(UTC)
ERROR = TaskError(attempt=1, at=NOW, exception_class_path="builtins.OSError", message="no", traceback="no")


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as opened:
        opened.flushdb()
        yield opened


def test_each_call_is_one_round_trip(redis_url: str, job: NewRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(redis_url)
    store.queued([job])
    store.record(job, Started(attempt=1, at=NOW))
    sent: list[object] = []
    send: Any = redis.Connection.send_packed_command

    def counted(self: Any, command: Any, check_health: bool = True) -> None:
        sent.append(command)
        send(self, command, check_health=check_health)

    monkeypatch.setattr(redis.Connection, "send_packed_command", counted)
    jobs = [NewRecord(id=f"{job.id}-{n}", task="t", queue_name="q", backend="b") for n in range(1_000)]
    store.queued(jobs)
    assert len(sent) == 1
    store.record(job, Retrying(error=ERROR, run_after=NOW))
    store.record(job, Succeeded(attempt=1, at=NOW, value=1))
    assert store.read(job.id) is not None
    assert len(sent) == 4
    store.forget([each.id for each in jobs])
    assert len(sent) == 5
    store.close()


def test_every_key_has_a_life_and_the_given_prefix(redis_url: str, client: Any, job: NewRecord) -> None:
    store = open_store(f"{redis_url}?prefix=shop")
    key = f"shop:result:{job.id}".encode()
    day = timedelta(days=1).total_seconds()
    store.queued([job])
    assert client.keys() == [key]
    assert 7 * day - 60 < client.ttl(key) <= 7 * day
    store.record(job, Failed(error=msgspec.structs.replace(ERROR, at=datetime.now(UTC))))
    assert day - 600 < client.ttl(key) <= day
    store.forget([job.id])
    assert client.keys() == []
    store.record(job, Succeeded(attempt=1, at=datetime.now(UTC), value=None))
    assert day - 600 < client.ttl(key) <= day
    store.close()


@pytest.mark.parametrize("options", [{"decode_responses": True}, {"protocol": 2}, {"protocol": 3}], ids=str)
def test_the_applications_own_client_serves(redis_url: str, job: NewRecord, options: dict[str, Any]) -> None:
    with redis.Redis.from_url(redis_url, **options) as own:
        store = RedisStore(own)
        store.queued([job])
        store.record(job, Succeeded(attempt=1, at=NOW, value="é"))
        record = store.read(job.id)
        assert record is not None
        assert record.value == "é"


@pytest.mark.parametrize(
    ("options", "is_sent"),
    [
        ({"decode_responses": True}, True),
        ({"protocol": 2}, True),
        ({"protocol": 3}, True),
        ({"max_connections": 1}, False),
    ],
    ids=str,
)
def test_a_completion_goes_ahead_over_the_applications_own_client_if_that_has_a_connection_to_spare(
    redis_url: str, job: NewRecord, options: dict[str, Any], is_sent: bool
) -> None:
    minute = timedelta(minutes=1)
    refusals: list[str] = []
    with redis.Redis.from_url(redis_url, **options) as own:
        store = RedisStore(own)
        keys = [
            store.claim_key(f"{job.id} {place}", job=job.id, holder="a", span=minute, waits="none") for place in "ab"
        ]
        for key in keys:
            assert store.send_completion(key, kept=minute, refused=partial(refusals.append, key.name)) is is_sent
        again = store.claim_key(keys[0].name, job=job.id, holder="b", span=minute, waits="none")
        assert (again.done_at is not None) is is_sent
        store.close()
    assert refusals == []


def test_a_server_that_forgot_the_scripts_gets_them_again(redis_url: str, client: Any, job: NewRecord) -> None:
    store = open_store(redis_url)
    store.queued([job])
    client.script_flush()
    store.record(job, Started(attempt=1, at=NOW))
    record = store.read(job.id)
    assert record is not None
    assert record.attempts == 1
    store.close()


def test_a_dropped_connection_is_opened_anew(redis_url: str, client: Any, job: NewRecord) -> None:
    store = open_store(redis_url)
    store.queued([job])
    client.client_kill_filter(_type="normal", skipme=True)
    store.record(job, Started(attempt=1, at=NOW))
    assert store.read(job.id) is not None
    store.close()


def test_a_refused_write_is_an_error_of_the_store(redis_url: str, client: Any, job: NewRecord) -> None:
    client.set(f"taskbridge:result:{job.id}", "not a hash")
    store = open_store(redis_url)
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        store.record(job, Started(attempt=1, at=NOW))
    store.close()
