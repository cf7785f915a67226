"""Dramatiq as its guide shows it."""

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

import dramatiq
from dramatiq.brokers.{library} import {broker}

import probe
import {module}

dramatiq.set_broker({broker}(url={url!r}))
"""
_TASK = """

@dramatiq.actor({options})
def {name}(job):
    return probe.attempt({module}.{function}, job)
"""
_TAIL = """

@dramatiq.actor(priority=0)  # lower numbers run first: "Message Prioritization" in the cookbook
def {short}_high(job):
    return probe.attempt({module}.{function}, job)


@dramatiq.actor(priority=100)
def {short}_low(job):
    return probe.attempt({module}.{function}, job)


if os.environ.get("SHOP_NEXT_RELEASE"):  # a producer of the next release knows a task that the worker does not

    @dramatiq.actor
    def from_next_release(job):
        return None


def enqueue(name, job, delay=None, expires=None, priority=None):
    options = {{}}
    if delay is not None:
        options["delay"] = int(delay * 1000)
    if expires is not None:
        options["max_age"] = int(expires * 1000)
    if priority in ("high", "low"):
        name = name + "_" + priority
    return globals()[name].send_with_options(args=(job,), **options).message_id


def enqueue_many(name, jobs):  # Dramatiq has no bulk call
    actor = globals()[name]
    for job in jobs:
        actor.send(job)
"""


def _options(task: WorkloadTask, normal: bool) -> str:
    options = []
    if normal:
        options.append("priority=50")
    if task.retries:
        delay = int(task.retry_delay * 1000)
        options.append(f"max_retries={task.retries}, min_backoff={delay}, max_backoff={delay}")
    if task.time_limit:
        options.append(f"time_limit={int(task.time_limit * 1000)}")
    return ", ".join(options)


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeDramatiq:
    """Dramatiq on Redis or RabbitMQ: acknowledged after the run, 20 retries, all by default."""

    broker: Broker
    profile: Profile = "native"
    no_time_limit: str = ""

    @property
    def backend(self) -> str:
        return f"dramatiq+{self.broker}"

    @property
    def distributions(self) -> tuple[str, ...]:
        return ("dramatiq", "redis" if self.broker == "redis" else "pika")

    @property
    def durability(self) -> str:
        if self.broker == "redis":
            return "in the memory of Redis (no persistence); one script, replied to"
        return "persistent message to a durable queue, publish not confirmed"

    @property
    def bounds(self) -> Mapping[str, str]:
        if self.broker == "redis":
            return {
                "__acks__": "60 s of missed heartbeats, then a maintenance draw of 1 in 1,000 commands; no upper bound",
                ".XQ": "dead letters, kept 7 days",
                ".DQ": "when its delay is over",
            }
        return {".XQ": "dead letters, kept 7 days", ".DQ": "when its delay is over"}

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        library, broker = ("redis", "RedisBroker") if self.broker == "redis" else ("rabbitmq", "RabbitmqBroker")
        short = workload.of_role("short")
        tasks = "".join(
            _TASK.format(
                name=task.name,
                module=workload.module,
                function=task.function,
                options=_options(task, task is short),
            )
            for task in workload.tasks
        )
        head = _HEAD.format(library=library, broker=broker, module=workload.module, url=url)
        tail = _TAIL.format(short=short.name, module=workload.module, function=short.function)
        # One process either way, so that every engine has the same number of processes to run tasks in.
        threads = () if slots is None else ("--threads", str(slots))
        return Application(
            files={"app.py": head + tasks + tail},
            worker=(sys.executable, "-m", "dramatiq", "app", "--processes", "1", *threads),
        )
