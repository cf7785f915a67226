"""What the storages promise of claims, on real ones: each step is whole, and only its owner's."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from huey.api import Huey
from huey.storage import FileStorage, PriorityRedisStorage, RedisStorage, SqliteStorage
from redis import Redis

from taskbridge.process.liveness import NOWHERE
from taskbridge_huey import lease as lease_module
from taskbridge_huey.claim import CRASH_MARK, Successor, marked, unmarked
from taskbridge_huey.claiming import claims_on
from taskbridge_huey.lease import Lease, Slot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from taskbridge.services import Server
    from taskbridge_huey.claim import Claims

NOW = datetime.now(UTC).replace(tzinfo=None)


@pytest.fixture(params=["sqlite", "list", "sorted set"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "sqlite":
        storage = SqliteStorage("shop", filename=str(tmp_path / "queue.db"))
        yield storage
        storage.close()
        return
    server: Server = request.getfixturevalue("redis_server")
    kind = RedisStorage if request.param == "list" else PriorityRedisStorage
    storage = kind("shop", url=server.fresh_url())
    yield storage
    storage.pool.disconnect()


@pytest.fixture
def claims(storage: Any) -> Claims:
    claims = claims_on(storage)
    assert claims is not None
    claims.prepare()
    return claims


def test_a_claim_leaves_the_queue_and_is_its_workers_until_it_is_settled(storage: Any, claims: Claims) -> None:
    storage.enqueue(b"job")
    claims.renew(["one"], NOWHERE)
    claim = claims.claim("one", None)
    assert claim is not None
    assert (claim.data, claim.crashes, storage.queue_size()) == (b"job", 0, 0)
    assert claims.is_held("one", claim)
    assert not claims.is_held("two", claim)
    assert not claims.settle("two", claim, [Successor(b"of a stranger")])
    assert claims.settle("one", claim, [Successor(b"next"), Successor(b"later", due=NOW + timedelta(hours=1))])
    assert not claims.settle("one", claim, [Successor(b"twice")])
    assert (storage.queue_size(), storage.schedule_size()) == (1, 1)


def test_what_a_worker_held_that_is_known_to_be_dead_is_given_back_at_once(storage: Any, claims: Claims) -> None:
    for worker in ("one", "two"):
        storage.enqueue(worker.encode())
        claims.renew([worker], f"mark of {worker}")
        claims.claim(worker, None)
    assert claims.marks() == {"one": "mark of one", "two": "mark of two"}
    assert (claims.recover(["one"]), claims.recover(["one"])) == (1, 0)
    assert [unmarked(bytes(item)[-24:])[1] for item in storage.enqueued_items()] == [1]
    assert claims.marks() == {"two": "mark of two"}
    claims.give_back("two", has_crashed=False)
    assert claims.marks() == {}


def test_a_claim_is_settled_with_the_next(storage: Any, claims: Claims) -> None:
    storage.enqueue(b"first")
    storage.enqueue(b"second")
    claims.renew(["one"], NOWHERE)
    first = claims.claim("one", None)
    second = claims.claim("one", first)
    assert (first and first.data, second and second.data) == (b"first", b"second")
    assert claims.give_back("one", has_crashed=False) == 1
    assert [bytes(item) for item in storage.enqueued_items()] == [b"second"]


def test_nothing_of_the_living_is_recovered(storage: Any, claims: Claims) -> None:
    storage.enqueue(b"job")
    claims.renew(["one"], NOWHERE)
    claims.claim("one", None)
    assert claims.recover() == 0
    assert storage.queue_size() == 0


def test_the_dead_ones_jobs_come_first_again_in_their_order_and_are_counted(
    storage: Any, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("redis_claims", "sqlite_claims"):
        monkeypatch.setattr(f"taskbridge_huey.{module}.LEASE_SECONDS", 0.2)
    for number in range(3):
        storage.enqueue(b"job %d" % number)
    for worker in ("one", "two"):
        claims.renew([worker], NOWHERE)
        claims.claim(worker, None)
    time.sleep(0.3)
    assert claims.recover() == 2
    assert claims.recover() == 0
    waiting = [unmarked(bytes(item)) for item in storage.enqueued_items()]
    assert sorted(waiting[:2]) == [(b"job 0", 1), (b"job 1", 1)]
    assert waiting[2:] == [(b"job 2", 0)]
    claims.renew(["three"], NOWHERE)
    claim = claims.claim("three", None)
    assert claim is not None
    assert claim.crashes == 1
    assert claims.give_back("three", claim.token, has_crashed=True) == 1
    assert unmarked(bytes(storage.enqueued_items()[0]))[1] == 2


def test_what_is_due_moves_once(storage: Any, claims: Claims) -> None:
    storage.add_to_schedule(b"due", NOW - timedelta(seconds=1))
    storage.add_to_schedule(b"not due", NOW + timedelta(hours=1))
    (due,) = claims.due(NOW, 10)
    assert due.element == b"due"
    assert storage.schedule_size() == 2
    assert claims.move(due, [Successor(b"due", 3)])
    assert not claims.move(due, [Successor(b"due", 3)])
    assert (storage.queue_size(), storage.schedule_size()) == (1, 1)


@pytest.mark.parametrize("storage", ["list", "sorted set"], indirect=True)
def test_a_claim_whose_reply_was_lost_goes_back_after_it_was_seen_twice(storage: Any, claims: Claims) -> None:
    lease = Lease(claims)
    slot = Slot("one", claims, lease)
    storage.enqueue(b"known")
    storage.enqueue(b"lost")
    lease._slots.append(slot)  # without its thread
    known = slot.take()
    claims.claim("one", None)
    lease.renew()
    assert storage.queue_size() == 0
    lease.renew()
    assert [bytes(item) for item in storage.enqueued_items()] == [b"lost"]
    assert known is not None
    assert claims.is_held("one", known)


def test_a_worker_that_was_away_for_too_long_does_not_begin(
    storage: Any, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "SLOW_SECONDS", 0.0)
    lease = Lease(claims)
    slot = Slot("one", claims, lease)
    lease._slots.append(slot)  # without its thread
    storage.enqueue(b"job")
    original = claims.claim

    def claim_and_pause(*arguments: Any) -> Any:
        claim = original(*arguments)
        claims.give_back("one", has_crashed=True)  # what the others do meanwhile
        return claim

    monkeypatch.setattr(claims, "claim", claim_and_pause)
    assert slot.take() is None
    assert storage.queue_size() == 1


def test_a_server_without_memory_is_worked_off(redis_server: Server) -> None:
    url = redis_server.fresh_url()
    for kind in (RedisStorage, PriorityRedisStorage):
        storage = kind(kind.__name__, url=url)
        claims = claims_on(storage)
        assert claims is not None
        storage.enqueue(b"first")
        storage.enqueue(b"second")
        with Redis.from_url(url) as admin:
            admin.config_set("maxmemory", "1")
            try:
                claims.renew(["one"], NOWHERE)
                taken = None
                while taken is None:
                    taken = claims.claim("one", None)
                assert claims.settle("one", taken, [Successor(b"again", due=NOW)])
                second = claims.claim("one", None)
                assert second is not None
                assert claims.give_back("one", has_crashed=True) == 1
            finally:
                admin.config_set("maxmemory", "0")
        assert (storage.queue_size(), storage.schedule_size()) == (1, 1)
        storage.pool.disconnect()


@pytest.mark.parametrize("data", [b"", b"job", b"job\n", CRASH_MARK, b"x" + CRASH_MARK + b"no number", b"\0" * 99])
def test_a_mark_is_taken_off_as_it_was_put_on(data: bytes) -> None:
    for crashes in (0, 1, 12):
        assert unmarked(marked(data, crashes)) == (data, crashes)


def test_a_storage_with_a_queue_of_its_own_kind_is_not_claimed_from(tmp_path: Path) -> None:
    class Own(SqliteStorage):  # type: ignore[misc]  # Huey has no types
        def dequeue(self) -> Any:
            return super().dequeue()

    assert claims_on(Own("shop", filename=str(tmp_path / "queue.db"))) is None
    assert claims_on(FileStorage("shop", path=str(tmp_path / "files"))) is None
    assert claims_on(Huey("shop", immediate=True).storage) is None
