"""What every store's idempotency keys do, whatever it stands on."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taskbridge.store import Key, open_store
from tests.store import writers
from tests.store.processes import WRITERS, together

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.store import Store

ROOT = Path(__file__).parents[2]
LONG = timedelta(seconds=60)
SHORT = timedelta(milliseconds=60)


@pytest.fixture
def name() -> str:
    return f"shop.receipt:%s ? {uuid.uuid4().hex}"


def claim(store: Store, name: str, holder: str, *, span: timedelta = LONG, waits: str = "none") -> Key:
    return store.claim_key(name, job=f"job of {holder}", holder=holder, span=span, waits=waits)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_holder_at_a_time_and_who_asks_is_told_of_it(store: Store, name: str) -> None:
    key = claim(store, name, "a")
    assert (key.name, key.holder, key.job, key.done_at, key.skipped) == (name, "a", "job of a", None, 0)
    assert timedelta(seconds=50) < key.left <= LONG
    refused = claim(store, name, "b")
    assert (refused.holder, refused.job, refused.token, refused.done_at) == ("a", "job of a", key.token, None)
    assert timedelta(0) < refused.left <= LONG
    assert claim(store, f"{name} other", "b").holder == "b"
    assert claim(store, name, "a").holder == "a"


def test_what_is_done_stays_done_and_each_that_finds_it_so_is_counted(store: Store, name: str) -> None:
    key = claim(store, name, "a", span=SHORT)
    assert store.complete_key(key, kept=LONG)
    time.sleep(2 * SHORT.total_seconds())
    found = [claim(store, name, holder) for holder in ("b", "c")]
    assert [(each.holder, each.skipped) for each in found] == [("a", 1), ("a", 2)]
    assert found[0].done_at is not None
    assert abs(found[0].done_at - datetime.now(UTC)) < LONG
    store.release_key(key)
    assert store.renew_keys([key], span=SHORT) == frozenset()
    read = store.read_key(name)
    assert read is not None
    assert (read.done_at, read.skipped) == (found[0].done_at, 2)
    assert store.complete_key(key, kept=LONG), "a completion whose answer was lost is repeated"


def test_a_completion_that_is_not_waited_for_is_as_good(store: Store, name: str) -> None:
    held, lost = claim(store, name, "a"), claim(store, f"{name} lost", "a", span=SHORT)
    until(lambda: claim(store, lost.name, "b").holder == "b")
    refused: list[str] = []
    for key in (held, lost):
        is_sent = store.send_completion(key, kept=LONG, refused=partial(refused.append, key.name))
        if not is_sent and not store.complete_key(key, kept=LONG):
            refused.append(key.name)
    found = claim(store, f"{name} next", "c")
    assert (found.holder, found.name) == ("c", f"{name} next"), "what is asked for meanwhile has its own answer"
    store.settle()
    assert refused == [lost.name]
    done, taken = store.read_key(held.name), store.read_key(lost.name)
    assert done is not None
    assert taken is not None
    assert (done.done_at is None, taken.holder, taken.done_at) == (False, "b", None)


def test_what_is_done_is_forgotten_after_its_time_or_by_command(store: Store, name: str) -> None:
    assert store.complete_key(claim(store, name, "a"), kept=SHORT)
    until(lambda: claim(store, name, "b").holder == "b")
    key = claim(store, name, "b")
    assert (key.done_at, key.skipped) == (None, 0)
    assert not store.forget_key(name), "it is not done"
    assert store.complete_key(key, kept=LONG)
    assert store.forget_key(name)
    assert not store.forget_key(name)
    assert store.read_key(name) is None
    assert claim(store, name, "c").holder == "c"


def test_a_key_that_is_given_back_is_free_and_its_token_rises(store: Store, name: str) -> None:
    tokens = []
    for holder in ("a", "b", "a"):
        key = claim(store, name, holder)
        tokens.append(key.token)
        store.release_key(key)
        assert store.read_key(name) is None
    assert tokens == sorted(set(tokens))


def test_who_has_lost_the_key_cannot_complete_it(store: Store, name: str) -> None:
    lost = claim(store, name, "a", span=SHORT)
    until(lambda: claim(store, name, "b").holder == "b")
    assert not store.complete_key(lost, kept=LONG)
    store.release_key(lost)
    held = claim(store, name, "c")
    assert (held.holder, held.done_at) == ("b", None)
    assert held.token > lost.token
    assert store.renew_keys([lost], span=LONG) == frozenset()


def test_one_that_ran_out_is_held_on_unless_another_has_taken_it(store: Store, name: str) -> None:
    key = claim(store, name, "a", span=SHORT)
    time.sleep(2 * SHORT.total_seconds())
    assert store.renew_keys([key], span=LONG) == {name}
    assert claim(store, name, "b").holder == "a"
    assert store.complete_key(key, kept=LONG)


def test_many_keys_are_renewed_together(store: Store, name: str) -> None:
    keys = [claim(store, f"{name} {number}", "a") for number in range(20)]
    store.release_key(keys[0])
    claim(store, f"{name} 0", "b")
    assert store.complete_key(keys[1], kept=LONG)
    many = [writers.key(f"{name} x{number}") for number in range(1_200)]
    assert store.renew_keys([*keys, *many], span=LONG) == {key.name for key in keys[2:]}
    assert store.renew_keys([], span=LONG) == frozenset()


def test_a_claim_tells_how_often_the_job_has_waited(store: Store, name: str) -> None:
    assert claim(store, name, "a", waits=f"waits {name}").waits == 0
    assert [store.count(f"waits {name}", span=LONG) for _ in range(2)] == [1, 2]
    assert claim(store, name, "b", waits=f"waits {name}").waits == 2
    assert claim(store, f"{name} other", "b", waits=f"waits {name}").waits == 2


def test_of_many_processes_one_gets_each_key_and_all_others_are_counted(durable_url: str, tmp_path: Path) -> None:
    with together(writers.claim_the_same_keys, f"{durable_url} {tmp_path}"):
        pass
    won, skipped = (
        Counter(line for path in tmp_path.glob(pattern) for line in path.read_text().splitlines())
        for pattern in ("*.won", "*.skipped")
    )
    assert won == {str(index): 1 for index in range(writers.EACH)}
    opened = open_store(durable_url)
    for index in range(writers.EACH):
        key = opened.read_key(f"same key {index}")
        assert key is not None
        assert key.done_at is not None
        assert key.skipped == skipped[str(index)] < WRITERS
    opened.close()


def test_the_key_of_a_killed_process_is_free_once_its_lease_has_run_out(durable_url: str) -> None:
    code = f"from tests.store.writers import hold_key_until_killed as hold; hold({durable_url!r}, 1)"
    opened = open_store(durable_url)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        assert holder.stdout is not None
        token, seen = 0, 0
        try:
            for line in holder.stdout:
                token, seen = int(line), seen + 1
                assert claim(opened, "held key", "another").holder != "another"
                if seen == 3:
                    break
        finally:
            holder.kill()
    until(lambda: claim(opened, "held key", "another").holder == "another")
    assert claim(opened, "held key", "another").token > token
    opened.close()
