"""Huey as its guide shows it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.driver import Application, Broker, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge_compare.workload import Workload, WorkloadTask

_HEAD = """\
import os

from huey import {storage}

import probe
import {module}

huey = {storage}("shop", {where})
TASKS = {{}}


def task(**options):
    def register(function):
        TASKS[function.__name__] = huey.task(**options)(function)
        return TASKS[function.__name__]

    return register
"""
_TASK = """

@task({options})
def {name}(job):
    return probe.attempt({module}.{function}, job)
"""
_TAIL = """

if os.environ.get("SHOP_NEXT_RELEASE"):  # a producer of the next release knows a task that the worker does not

    @task()
    def from_next_release(job):
        return None


PRIORITIES = {"low": 1, "normal": 5, "high": 10}


def enqueue(name, job, delay=None, expires=None, priority=None):
    options = {}
    if delay is not None:
        options["delay"] = delay
    if expires is not None:
        options["expires"] = expires
    if priority is not None:
        options["priority"] = PRIORITIES[priority]
    return huey.enqueue(TASKS[name].s(job, **options)).id


def enqueue_many(name, jobs):  # Huey has no bulk call
    for job in jobs:
        TASKS[name](job)
"""


def _options(task: WorkloadTask) -> str:
    options = []
    if task.retries:
        options.append(f"retries={task.retries}, retry_delay={task.retry_delay:g}")
    if task.time_limit:
        options.append(f"timeout={task.time_limit:g}")
    return ", ".join(options)


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeHuey:
    """Huey on Redis or on an SQLite file, one consumer with its default of one thread."""

    broker: Broker
    profile: Profile = "native"
    no_time_limit: str = ""
    distributions: tuple[str, ...] = ("huey",)

    @property
    def backend(self) -> str:
        return f"huey+{self.broker}"

    @property
    def durability(self) -> str:
        if self.broker == "redis":
            return "in the memory of Redis (no persistence); one write, replied to"
        return "SQLite file, WAL, fsync at each commit"

    @property
    def bounds(self) -> Mapping[str, str]:
        return {"schedule": "the consumer's scheduler, each second"}

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        if self.broker == "redis":
            storage, where = "RedisHuey", f"url={url!r}"
        else:
            storage, where = "SqliteHuey", f"filename={url.removeprefix('sqlite:///')!r}"
        tasks = "".join(
            _TASK.format(name=task.name, module=workload.module, function=task.function, options=_options(task))
            for task in workload.tasks
        )
        head = _HEAD.format(storage=storage, where=where, module=workload.module)
        workers = () if slots is None else ("--workers", str(slots))
        return Application(
            files={"app.py": head + tasks + _TAIL},
            worker=(sys.executable, "-m", "huey.bin.huey_consumer", "app.huey", *workers),
        )
