"""A task with a key and without a result, run here or in a process that dies of it; and its store, standing still."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest import mock

import psycopg
import redis

import taskbridge
from taskbridge.identity import new_id
from taskbridge.message import Headers, Message
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.store import open_store
from taskbridge.worker import Environment, Runner
from taskbridge.worker.effectively_once import key_name
from taskbridge.worker.key_keeper import settle_keys
from tests.pauses import standing_still

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.store import Key, Store

in_the_body: list[Callable[[], object]] = []
ran: list[int] = []


@taskbridge.task(name="keyed.ship", delivery="effectively_once", key="{order_id}")
def ship(order_id: int) -> None:
    ran.append(order_id)
    while in_the_body:
        in_the_body.pop()()


def job(order_id: int) -> Message:
    return Message(
        new_id(), ship.name, [order_id], {}, headers=Headers(key=str(order_id), enqueued_at=datetime.now(UTC))
    )


def key_of(store: Store, order_id: int) -> Key | None:
    return store.read_key(key_name(ship.name, str(order_id)))


def is_done(store: Store, order_id: int) -> bool:
    found = key_of(store, order_id)
    return found is not None and found.done_at is not None


@contextmanager
def runner(store: Store) -> Iterator[Runner]:
    configured = router.configured
    taskbridge.configure("memory://")
    try:
        yield Runner(router.backend(), Environment(alias="default", registry=registry, open_store=lambda: store))
    finally:
        settle_keys()
        router.configure(configured)
        in_the_body.clear()
        ran.clear()


def server_pids(url: str) -> list[int]:
    """The processes of the server that answer to those who are connected to this URL now."""
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            information: Any = client.info("server")
            return [int(information["process_id"])]
    with psycopg.connect(url) as connection:
        asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return [pid for (pid,) in connection.execute(asked)]


@contextmanager
def silent(url: str) -> Iterator[Callable[[], None]]:
    """Gives what makes the server of this URL stand still until the block ends."""
    with ExitStack() as stack:

        def fall_silent() -> None:
            for pid in server_pids(url):
                stack.enter_context(standing_still(pid))

        yield fall_silent


def die_when_done(url: str, order_id: str) -> None:
    """Run a job during whose body the server falls silent, say who stands still, and be killed when it has ended."""
    store = open_store(url)

    def fall_silent() -> None:
        pids = server_pids(url)
        print(*pids, flush=True)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    with runner(store) as run:
        in_the_body.append(fall_silent)
        run(job(int(order_id)), attempt=1)
        os.kill(os.getpid(), signal.SIGKILL)


def fork_with_an_answer_to_come(url: str) -> None:
    """One job is forked in its middle, and again after its end; each child does a job of its own.

    A completion whose answer another process has read would have to be repeated.
    """
    store = open_store(url)
    with runner(store) as run, mock.patch.object(store, "complete_key") as repeated:

        def fork() -> None:
            child = os.fork()
            if child == 0:
                in_the_body.clear()
                run(job(child_number), attempt=1)
                settle_keys()
                os._exit(0 if is_done(store, child_number) and not repeated.called else 1)
            assert os.waitpid(child, 0)[1] == 0

        child_number = 101
        in_the_body.append(fork)
        run(job(1), attempt=1)
        child_number = 102
        fork()
        settle_keys()
        run(job(2), attempt=1)
        settle_keys()
        assert [number for number in (1, 2, 101, 102) if not is_done(store, number)] == []
        assert not repeated.called
    store.close()


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {"die": die_when_done, "fork": fork_with_an_answer_to_come}
    programs[sys.argv[1]](*sys.argv[2:])
