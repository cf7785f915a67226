"""RQ as its documentation shows it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.driver import Application, Broker, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge_compare.workload import Workload

_HEAD = """\
import os
from datetime import timedelta

from redis import Redis
from rq import Queue, Retry

import probe
import {module}

queue = Queue(connection=Redis.from_url({url!r}))
"""
_TASK = """

def {name}(job):
    return probe.attempt({module}.{function}, job)
"""
_TAIL = """

if os.environ.get("SHOP_NEXT_RELEASE"):  # a producer of the next release knows a task that the worker does not

    def from_next_release(job):
        return None


OPTIONS = {options}


def enqueue(name, job, delay=None, expires=None, priority=None):
    options = {{**OPTIONS.get(name, {{}}), "args": (job,)}}
    if expires is not None:
        options["ttl"] = int(expires)  # whole seconds only
    if priority is not None:
        return queue.enqueue_call(globals()[name], priority=priority, **options).id
    if delay is not None:
        return queue.enqueue_in(timedelta(seconds=delay), globals()[name], job).id
    return queue.enqueue_call(globals()[name], **options).id


def enqueue_many(name, jobs):
    queue.enqueue_many([Queue.prepare_data(globals()[name], args=(job,)) for job in jobs])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRQ:
    """RQ: one worker that forks a work horse for each job, with the scheduler that its delays and retries need."""

    broker: Broker = "redis"
    profile: Profile = "native"
    no_time_limit: str = ""
    backend: str = "rq+redis"
    distributions: tuple[str, ...] = ("rq", "redis")
    durability: str = "in the memory of Redis (no persistence); two round trips, replied to"

    @property
    def bounds(self) -> Mapping[str, str]:
        return {
            "rq:wip": "about 90 s of registry time plus up to 405 s of an idle worker's blocking read, then failed",
            ":intermediate": "failed after a minute, at the next maintenance",
            "rq:failed": "kept a year; `rq requeue` runs it again",
            "rq:scheduled": "when it is due, by a worker with a scheduler",
        }

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        del slots  # one job at a time is all a worker does
        options = {}
        for task in workload.tasks:
            chosen = []
            if task.retries:
                chosen.append(f'"retry": Retry(max={task.retries}, interval={int(task.retry_delay)})')
            if task.time_limit:
                chosen.append(f'"timeout": {int(task.time_limit)}')
            if chosen:
                options[task.name] = "{" + ", ".join(chosen) + "}"
        table = "{" + ", ".join(f'"{name}": {text}' for name, text in options.items()) + "}"
        tasks = "".join(
            _TASK.format(name=task.name, module=workload.module, function=task.function) for task in workload.tasks
        )
        return Application(
            files={
                "app.py": _HEAD.format(module=workload.module, url=url) + tasks + _TAIL.format(options=table),
            },
            worker=(sys.executable, "-m", "rq.cli", "worker", "--url", url, "--with-scheduler"),
        )
