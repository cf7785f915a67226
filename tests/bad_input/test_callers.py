"""Whoever enqueues: many threads, an event loop, green threads, a process and its child after `os.fork()`."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from taskbridge.router import router
from tests.bad_input.test_faults import SCHEMES, Broker, configure, note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge import services

JOBS = 40


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    scheme: str = request.param
    server: services.Server = request.getfixturevalue(
        {"redis": "redis_server", "amqp": "rabbitmq_server"}[scheme.partition("+")[2]]
    )
    yield Broker(scheme, server, server.fresh_url())
    router.configure(None)


@pytest.mark.parametrize("broker", SCHEMES, indirect=True)
def test_many_threads_enqueue_each_job_once(broker: Broker) -> None:
    configure(broker)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(note.enqueue, map(str, range(JOBS))))
    broker.becomes(JOBS)


@pytest.mark.parametrize("broker", SCHEMES, indirect=True)
def test_an_event_loop_enqueues_each_job_once(broker: Broker) -> None:
    configure(broker)

    async def enqueue_all() -> None:
        await asyncio.gather(*(note.aenqueue(str(number)) for number in range(JOBS)))

    asyncio.run(enqueue_all())
    broker.becomes(JOBS)


@pytest.mark.parametrize("broker", SCHEMES, indirect=True)
def test_a_forked_child_and_its_parent_enqueue_each_job_once(broker: Broker) -> None:
    configure(broker)
    note.enqueue("before")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for number in range(JOBS):
                note.enqueue(f"child {number}")
            status = 0
        finally:
            os._exit(status)
    for number in range(JOBS):
        note.enqueue(f"parent {number}")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    broker.becomes(1 + 2 * JOBS)


GREEN = """
from gevent import monkey
monkey.patch_all()
import gevent
import taskbridge
from tests.bad_input.test_faults import note
taskbridge.configure({url!r})
jobs = [gevent.spawn(note.enqueue, str(number)) for number in range({jobs})]
gevent.joinall(jobs, raise_error=True, timeout=30)
assert all(job.successful() for job in jobs)
"""


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="gevent is not installed")
@pytest.mark.parametrize("broker", SCHEMES, indirect=True)
def test_green_threads_enqueue_each_job_once(broker: Broker) -> None:
    url = f"{broker.scheme.partition('+')[0]}+{broker.url}"
    code = GREEN.format(url=url, jobs=JOBS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    broker.becomes(JOBS)
