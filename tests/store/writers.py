"""What the writing processes of the concurrency tests do; each starts afresh, with no state of the test's process."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.message import Message
from taskbridge.store import (
    DeadLetter,
    Failed,
    Key,
    Lease,
    NewRecord,
    ResultStore,
    Retrying,
    Started,
    Succeeded,
    TaskError,
    open_store,
)

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

BLOB = "x" * 20_000
EACH = 25
HELD = timedelta(seconds=3)
"""A lease that a busy machine does not let run out."""


def job(job_id: str) -> NewRecord:
    return NewRecord(id=job_id, task="shop.receipt", queue_name="default", backend="default")


def live(store: ResultStore, job_id: str, value: object) -> None:
    """A whole life of one job."""
    now = datetime.now(UTC)
    error = TaskError(attempt=1, at=now, exception_class_path="builtins.OSError", message="no", traceback="no")
    store.queued([job(job_id)])
    store.record(job(job_id), Started(attempt=1, at=now))
    store.record(job(job_id), Retrying(error=error, run_after=now))
    store.record(job(job_id), Started(attempt=2, at=now))
    store.record(job(job_id), Succeeded(attempt=2, at=datetime.now(UTC), value=value))


def lives(url: str, barrier: Barrier, number: int) -> None:
    """Lives of jobs of its own, and of one that all writers share."""
    store = open_store(url)
    barrier.wait(timeout=50)
    for index in range(EACH):
        live(store, f"own-{number}-{index}", index)
        live(store, "shared", number)
    store.close()


def fail_again_and_again(url: str, barrier: Barrier, number: int) -> None:
    """Errors of one job that all writers share, none like another."""
    store = open_store(url)
    barrier.wait(timeout=50)
    for index in range(EACH):
        error = TaskError(
            attempt=1,
            at=datetime.now(UTC),
            exception_class_path="builtins.OSError",
            message=f"{number}-{index}",
            traceback="",
        )
        store.record(job("shared"), Retrying(error=error, run_after=error.at))
    store.close()


def queue_the_same(url: str, barrier: Barrier, number: int) -> None:
    """The same many ids as all other writers, in another order."""
    store = open_store(url)
    ids = [f"same-{index}" for index in range(1_000)]
    for _ in range(4):
        barrier.wait(timeout=50)
        store.queued([job(each) for each in (ids if number % 2 else reversed(ids))])
        store.forget(ids if number % 2 else ids[::-1])
    store.queued([job(each) for each in ids])
    store.close()


def open_for_the_first_time(url: str, barrier: Barrier, number: int) -> None:
    barrier.wait(timeout=50)
    store = open_store(url)
    store.queued([job(f"first-{number}")])
    store.close()


def write_until_killed(url: str, acknowledged: int) -> None:
    """Says on the descriptor which job is recorded for good, one line each, until somebody kills it."""
    store = open_store(url)
    round_number = 0
    while True:
        round_number += 1
        batch = [job(f"{os.getpid()}-{round_number}-{index}") for index in range(20)]
        store.queued(batch)
        os.write(acknowledged, f"queued {round_number}\n".encode())
        for each in batch:
            now = datetime.now(UTC)
            store.record(each, Started(attempt=1, at=now))
            if each.id.endswith("7"):
                error = TaskError(attempt=1, at=now, exception_class_path="e", message=BLOB, traceback=BLOB)
                store.record(each, Failed(error=error))
            else:
                store.record(each, Succeeded(attempt=1, at=now, value=BLOB))
            os.write(acknowledged, f"ended {each.id}\n".encode())


def fork_and_write(url: str) -> None:
    """Uses a store on both sides of `os.fork()`, from threads too, and fails if any side fails."""
    store = open_store(url)
    live(store, "before", 0)
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                live(store, f"child-{number}-main", f"child-{number}-main")
                _write_from_threads(store, f"child-{number}")
                store.close()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    for index in range(EACH):
        live(store, f"parent-{index}", index)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    live(store, "after", 0)
    for name in [f"child-{number}-{thread}" for number in range(3) for thread in ("main", 0, 1, 2, 3)]:
        record = store.read(name)
        assert record is not None
        assert record.value == name
    store.close()


def _write_from_threads(store: ResultStore, name: str) -> None:
    threads = [threading.Thread(target=live, args=(store, f"{name}-{index}", f"{name}-{index}")) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)


def lease(name: str) -> Lease:
    """A lease that nobody has ever been given."""
    return Lease(name=name, holder="a", token=7, until=datetime.now(UTC))


def claim_the_same(url_and_folder: str, barrier: Barrier, number: int) -> None:
    """Claims what all others claim too, and counts with them; says in files of its own what it got."""
    url, _, folder = url_and_folder.rpartition(" ")
    store = open_store(url)
    barrier.wait(timeout=50)
    won, counted = [], []
    for index in range(EACH):
        if store.acquire(f"same {index}", holder=str(number), span=timedelta(seconds=60)) is not None:
            won.append(str(index))
        counted.append(str(store.count("together", span=timedelta(seconds=60))))
    Path(folder, f"{number}.won").write_text("\n".join(won))
    Path(folder, f"{number}.counted").write_text("\n".join(counted))
    store.close()


def _letter(letter_id: str, task: str, *, burial: str = "") -> DeadLetter:
    """`burial` tells the deaths of one job apart, of which two writers may write in the same microsecond."""
    now = datetime.now(UTC)
    return DeadLetter(
        id=letter_id,
        task=task,
        queue_name="default",
        backend="default",
        reason="exhausted",
        buried_at=now,
        error=TaskError(attempt=1, at=now, exception_class_path="e", message=burial or letter_id, traceback=BLOB),
        message=Message(letter_id, task, [BLOB], {}),
        expires_at=now + timedelta(days=1),
    )


def bury_many(url: str, barrier: Barrier, number: int) -> None:
    """Letters of its own, and one that all writers share."""
    store = open_store(url)
    barrier.wait(timeout=50)
    for index in range(EACH):
        store.bury(_letter(f"own-{number}-{index}", "many"))
        store.bury(_letter("shared", "many", burial=f"{number}-{index}"))
    store.close()


def bury_until_killed(url: str, acknowledged: int) -> None:
    """Says on the descriptor which letter is kept for good, one line each, until somebody kills it."""
    store = open_store(url)
    index = 0
    while True:
        index += 1
        store.bury(_letter(f"{os.getpid()}-{index}", f"killed {os.getpid()}"))
        os.write(acknowledged, f"{os.getpid()}-{index}\n".encode())


def hold_until_killed(url: str, acknowledged: int) -> None:
    """Hold a lease by renewing it, and say its token each time, until somebody kills it."""
    store = open_store(url)
    held = store.acquire("held", holder=str(os.getpid()), span=HELD)
    assert held is not None
    while store.renew([held], span=HELD):
        os.write(acknowledged, f"{held.token}\n".encode())
        time.sleep(0.05)


def key(name: str) -> Key:
    """An idempotency key that nobody has ever been given."""
    return Key(name=name, job="j", holder="a", token=7, left=timedelta(0))


def claim_the_same_keys(url_and_folder: str, barrier: Barrier, number: int) -> None:
    """Claims keys that all others claim too and completes what it got; says in files of its own what it was told.

    Every second key is written together with the record of a job.
    """
    url, _, folder = url_and_folder.rpartition(" ")
    store = open_store(url)
    barrier.wait(timeout=50)
    won, skipped = [], []
    minute, now = timedelta(seconds=60), datetime.now(UTC)
    for index in range(EACH):
        name, holder, own, is_recorded = f"same key {index}", str(number), job(f"keyed-{number}-{index}"), False
        if index % 2:
            claimed = store.claim_key(name, job=own.id, holder=holder, span=minute, waits="none")
        else:
            started = Started(attempt=1, at=now)
            claimed, is_recorded = store.start_with_key(
                name, job=own, started=started, holder=holder, span=minute, waits="none"
            )
        if claimed.done_at is not None:
            skipped.append(str(index))
        elif claimed.holder == holder:
            won.append(str(index))
            if index % 2:
                assert store.complete_key(claimed, kept=minute)
            else:
                assert is_recorded
                ended = Succeeded(attempt=1, at=now, value=number)
                assert store.end_with_key(claimed, job=own, ended=ended, kept=minute) == (True, True)
                continue
        assert not is_recorded
    Path(folder, f"{number}.won").write_text("\n".join(won))
    Path(folder, f"{number}.skipped").write_text("\n".join(skipped))
    store.close()


def hold_key_until_killed(url: str, acknowledged: int) -> None:
    """Hold a key for three seconds at a time by renewing it, and say its token each time, until somebody kills it."""
    store = open_store(url)
    held = store.claim_key("held key", job="j", holder=str(os.getpid()), span=timedelta(seconds=3), waits="none")
    while store.renew_keys([held], span=timedelta(seconds=3)):
        os.write(acknowledged, f"{held.token}\n".encode())
        time.sleep(0.05)
