"""Celery as its first steps show it."""

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

from celery import Celery

import probe
import {module}

app = Celery("app", broker={url!r})
{configuration}"""
_TASK = """

@app.task({options})
def {name}({self}job):
    return probe.attempt({module}.{function}, job)
"""
_TAIL = """

if os.environ.get("SHOP_NEXT_RELEASE"):  # a producer of the next release knows a task that the worker does not

    @app.task
    def from_next_release(job):
        return None


PRIORITIES = {priorities}


def enqueue(name, job, delay=None, expires=None, priority=None):
    options = {{}}
    if delay is not None:
        options["countdown"] = delay
    if expires is not None:
        options["expires"] = expires
    if priority is not None:
        options["priority"] = PRIORITIES[priority]
    return app.tasks["app." + name].apply_async((job,), **options).id


def enqueue_many(name, jobs):  # Celery has no bulk call
    task = app.tasks["app." + name]
    for job in jobs:
        task.delay(job)
"""


def _options(task: WorkloadTask) -> str:
    options = []
    if task.retries:
        options.append(
            f"autoretry_for=(Exception,), max_retries={task.retries}, default_retry_delay={task.retry_delay:g}"
        )
    if task.time_limit:
        options.append(f"time_limit={task.time_limit:g}")
    return ", ".join(options)


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeCelery:
    """Celery on Redis or RabbitMQ: prefork, early acknowledgement, no result backend, all by default."""

    broker: Broker
    profile: Profile = "native"
    no_time_limit: str = ""

    @property
    def backend(self) -> str:
        return f"celery+{self.broker}"

    @property
    def distributions(self) -> tuple[str, ...]:
        return ("celery", "kombu", "redis" if self.broker == "redis" else "amqp")

    @property
    def durability(self) -> str:
        if self.broker == "redis":
            return "in the memory of Redis (no persistence); one write, replied to"
        return "persistent message to a durable queue, publish not confirmed"

    @property
    def bounds(self) -> Mapping[str, str]:
        if self.broker == "redis":
            return {"unacked": "visibility_timeout, 3600 s by default"}
        return {"unacknowledged": "until the channel of its consumer closes"}

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        amqp = self.broker == "amqp"
        head = _HEAD.format(
            url=url, module=workload.module, configuration="app.conf.task_queue_max_priority = 10\n" if amqp else ""
        )
        tasks = "".join(
            _TASK.format(
                name=task.name, module=workload.module, function=task.function, self="", options=_options(task)
            )
            for task in workload.tasks
        )
        priorities = {"low": 1, "normal": 5, "high": 9} if amqp else {"low": 9, "normal": 5, "high": 0}
        # One process either way, so that every engine has the same number of processes to run tasks in.
        concurrency = ("--concurrency", str(slots or 1))
        return Application(
            files={"app.py": head + tasks + _TAIL.format(priorities=priorities)},
            worker=(sys.executable, "-m", "celery", "-A", "app", "worker", "--loglevel=INFO", *concurrency),
        )
