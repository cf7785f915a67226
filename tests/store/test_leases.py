"""What every store's leases and counters do, whatever it stands on."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from taskbridge.store import open_store
from tests.store import writers
from tests.store.conftest import DURABLE, url_of
from tests.store.processes import WRITERS, together
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.store import Lease, Store

ROOT = Path(__file__).parents[2]
LONG = timedelta(seconds=60)
SHORT = timedelta(milliseconds=60)


@pytest.fixture
def name() -> str:
    return f"lease %s ? {uuid.uuid4().hex}"


def test_one_holder_at_a_time(store: Store, name: str) -> None:
    lease = store.acquire(name, holder="a", span=LONG)
    assert lease is not None
    assert (lease.name, lease.holder) == (name, "a")
    assert timedelta(seconds=50) < lease.until - datetime.now(UTC) < timedelta(seconds=70)
    assert store.acquire(name, holder="b", span=LONG) is None
    assert store.acquire(f"{name} other", holder="b", span=LONG) is not None


def test_who_holds_it_gets_it_again_under_the_same_token(store: Store, name: str) -> None:
    lease = store.acquire(name, holder="a", span=LONG)
    again = store.acquire(name, holder="a", span=LONG)
    assert lease is not None
    assert again is not None
    assert again.token == lease.token
    assert again.until >= lease.until


def test_the_token_rises_whether_the_lease_was_given_back_or_ran_out(store: Store, name: str) -> None:
    tokens = []
    for holder in ("a", "b", "a", "a"):
        lease = store.acquire(name, holder=holder, span=LONG)
        assert lease is not None
        tokens.append(lease.token)
        store.release([lease])
    assert store.acquire(name, holder="c", span=SHORT) is not None
    until(lambda: store.acquire(name, holder="d", span=LONG) is not None)
    last = store.acquire(name, holder="d", span=LONG)
    assert last is not None
    tokens.append(last.token)
    assert tokens == sorted(set(tokens))


def test_many_leases_are_renewed_together_and_the_lost_ones_are_missing(store: Store, name: str) -> None:
    names = [f"{name} {number}" for number in range(1_234)]
    leases = [store.acquire(each, holder="a", span=LONG) for each in names[:20]]
    held = [lease for lease in leases if lease is not None]
    assert len(held) == 20
    assert store.renew(held, span=LONG) == set(names[:20])
    store.release(held[:1])
    assert store.acquire(names[0], holder="b", span=LONG) is not None
    unknown = [writers.lease(each) for each in names[20:]]
    assert store.renew([*held, *unknown], span=LONG) == set(names[1:20])
    assert store.renew([], span=LONG) == frozenset()


def test_a_renewed_lease_does_not_run_out(store: Store, name: str) -> None:
    lease = store.acquire(name, holder="a", span=SHORT)
    assert lease is not None
    assert store.renew([lease], span=LONG) == {name}
    time.sleep(2 * SHORT.total_seconds())
    assert store.acquire(name, holder="b", span=LONG) is None


def test_one_that_ran_out_is_held_on_unless_another_has_taken_it(store: Store, name: str) -> None:
    lease = store.acquire(name, holder="a", span=SHORT)
    assert lease is not None
    time.sleep(2 * SHORT.total_seconds())
    assert store.renew([lease], span=SHORT) == {name}
    until(lambda: store.acquire(name, holder="b", span=LONG) is not None)
    assert store.renew([lease], span=LONG) == frozenset()
    store.release([lease])
    assert store.acquire(name, holder="c", span=LONG) is None


def test_counters_count_from_one_and_are_forgotten(store: Store, name: str) -> None:
    assert [store.count(name, span=LONG) for _ in range(3)] == [1, 2, 3]
    assert store.count(f"{name} other", span=LONG) == 1
    assert store.count(name, span=SHORT) == 4
    time.sleep(2 * SHORT.total_seconds())
    assert store.count(name, span=LONG) == 1


def test_of_many_processes_one_gets_the_lease(durable_url: str, tmp_path: Path) -> None:
    with together(writers.claim_the_same, f"{durable_url} {tmp_path}"):
        pass
    won = [line for path in tmp_path.glob("*.won") for line in path.read_text().splitlines()]
    assert sorted(won) == sorted(f"{number}" for number in range(writers.EACH))
    counts = [int(line) for path in tmp_path.glob("*.counted") for line in path.read_text().splitlines()]
    assert sorted(counts) == list(range(1, WRITERS * writers.EACH + 1))


def test_the_lease_of_a_killed_process_runs_out_and_not_before(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """On all stores at once, since a lease must be long to be kept on a busy machine."""
    with ExitStack() as stack:
        held = [stack.enter_context(Holder(url_of(kind, request, tmp_path))) for kind in DURABLE]
        begun = time.monotonic()
        while time.monotonic() < begun + writers.HELD.total_seconds() + 0.5:
            assert all(each.renewed() and not each.is_free() for each in held)
        for each in held:
            each.kill()
        for each in held:
            until(each.is_free, seconds=30)
            assert each.taken is not None
            assert each.taken.token > each.token


class Holder:
    """A process that holds the lease `held` of a store, and another who wants it."""

    def __init__(self, url: str) -> None:
        code = f"from tests.store.writers import hold_until_killed as hold; hold({url!r}, 1)"
        self.token = 0
        self.taken: Lease | None = None
        self._store = open_store(url)
        self._process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def renewed(self) -> bool:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.token = int(line or 0)
        return bool(line)

    def is_free(self) -> bool:
        self.taken = self._store.acquire("held", holder="another", span=LONG)
        return self.taken is not None

    def kill(self) -> None:
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.communicate()
        self._store.close()
