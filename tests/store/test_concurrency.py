"""Many writers at once, and writers that die in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from taskbridge.store import DetailStatus, Store, open_store
from tests.store import writers
from tests.store.processes import WRITERS, join, spawn, together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.services import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fresh_url(durable_url: str, request: pytest.FixtureRequest) -> str:
    """A store in which nothing has ever been."""
    for scheme, fixture in (("postgres", "postgres_server"), ("redis", "redis_server")):
        if durable_url.startswith(scheme):
            server: Server = request.getfixturevalue(fixture)
            return server.fresh_url()
    return durable_url


@pytest.fixture
def store(fresh_url: str) -> Iterator[Store]:
    opened = open_store(fresh_url)
    yield opened
    opened.close()


def test_many_writers_of_their_own_and_of_shared_jobs(fresh_url: str, store: Store) -> None:
    seen = None
    with together(writers.lives, fresh_url) as processes:
        while any(process.is_alive() for process in processes):
            record = store.read("shared")
            if seen is not None:
                assert record == seen
            elif record is not None and record.detail_status is DetailStatus.SUCCESSFUL:
                seen = record
            processes[0].join(timeout=0.01)
    for number in range(WRITERS):
        for index in range(writers.EACH):
            own = store.read(f"own-{number}-{index}")
            assert own is not None
            assert (own.detail_status, own.value, own.attempts) == (DetailStatus.SUCCESSFUL, index, 2)
            assert len(own.errors) == 1
    shared = store.read("shared")
    assert shared is not None
    assert shared.value in range(WRITERS)


def test_no_error_is_lost_between_writers(fresh_url: str, store: Store) -> None:
    with together(writers.fail_again_and_again, fresh_url):
        pass
    record = store.read("shared")
    assert record is not None
    expected = {f"{number}-{index}" for number in range(WRITERS) for index in range(writers.EACH)}
    assert sorted(error.message for error in record.errors) == sorted(expected)


def test_batches_of_the_same_ids_do_not_block_each_other(fresh_url: str, store: Store) -> None:
    with together(writers.queue_the_same, fresh_url):
        pass
    record = store.read("same-0")
    assert record is not None
    assert record.detail_status is DetailStatus.QUEUED


def test_many_processes_may_be_the_first(fresh_url: str, store: Store) -> None:
    with together(writers.open_for_the_first_time, fresh_url):
        pass
    assert all(store.read(f"first-{number}") is not None for number in range(WRITERS))


def test_a_store_works_on_both_sides_of_a_fork(fresh_url: str) -> None:
    process = spawn.Process(target=writers.fork_and_write, args=(fresh_url,))
    process.start()
    join([process])


def test_a_store_is_shared_by_threads(store: Store) -> None:
    threads = [threading.Thread(target=writers.live, args=(store, f"thread-{n}", n)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    records = [store.read(f"thread-{n}") for n in range(16)]
    assert [record and record.value for record in records] == list(range(16))


@pytest.mark.parametrize("acknowledged", [1, 8, 27, 64])
def test_a_killed_writer_leaves_whole_records_and_a_store_that_works(
    fresh_url: str, store: Store, acknowledged: int
) -> None:
    code = f"from tests.store.writers import write_until_killed as write; write({fresh_url!r}, 1)"
    lines: list[str] = []
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        try:
            for line in writer.stdout or ():
                lines.append(line)
                if len(lines) == acknowledged:
                    writer.kill()
        finally:
            writer.kill()
    assert writer.returncode == -signal.SIGKILL
    assert len(lines) >= acknowledged
    ended = {line.split()[1] for line in lines if line.startswith("ended")}
    batches = [int(line.split()[1]) for line in lines if line.startswith("queued")]
    for number in range(1, batches[-1] + 2):
        ids = [f"{writer.pid}-{number}-{index}" for index in range(20)]
        records = [record for record in map(store.read, ids) if record is not None]
        assert len(records) == 20 if number <= batches[-1] else len(records) in (0, 20)
        for record in records:
            assert record.is_finished or record.id not in ended
            if record.detail_status is DetailStatus.SUCCESSFUL:
                assert (record.value, record.attempts) == (writers.BLOB, 1)
                assert record.finished_at is not None
            elif record.detail_status is DetailStatus.FAILED:
                assert len(record.errors) == 1
            else:
                assert record.value is msgspec.UNSET
    writers.live(store, "afterwards", 1)
    last = store.read("afterwards")
    assert last is not None
    assert last.value == 1
