"""TaskBridge's profile: one application for every engine, on which one setting chooses."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.beside_native import BesideNative
from taskbridge_compare.drivers.driver import Application, Driver

if TYPE_CHECKING:
    from taskbridge_compare.workload import Workload, WorkloadTask

_HEAD = """\
import os
from datetime import timedelta
from typing import Any

import taskbridge
from taskbridge import Retry

import probe
import {module}
"""
_TASK = """

@taskbridge.task({options})
def {name}(job: dict[str, Any]) -> None:
    probe.attempt({module}.{function}.function, job)
"""
_TAIL = """

if os.environ.get("SHOP_NEXT_RELEASE"):  # a producer of the next release knows a task that the worker does not

    @taskbridge.task(name="from_next_release")
    def from_next_release(job: dict[str, Any]) -> None: ...


PRIORITIES = {"low": -50, "normal": 0, "high": 50}


def enqueue(name, job, delay=None, expires=None, priority=None):
    options = {}
    if delay is not None:
        options["run_after"] = timedelta(seconds=delay)
    if expires is not None:
        options["expires"] = timedelta(seconds=expires)
    if priority is not None:
        options["priority"] = PRIORITIES[priority]
    task = globals()[name]
    return (task.using(**options) if options else task).enqueue(job).id


def enqueue_many(name, jobs):
    globals()[name].enqueue_many([(job,) for job in jobs])
"""


def _options(task: WorkloadTask) -> str:
    options = [f'name="{task.name}"']
    if task.retries:
        delay = f"timedelta(seconds={task.retry_delay:g})"
        options.append(f"retry=Retry({task.retries + 1}, delay={delay}, factor=1, jitter=False, on=(Exception,))")
    if task.time_limit:
        options.append(f"timeout=timedelta(seconds={task.time_limit:g})")
    return ", ".join(options)


def tasks(workload: Workload) -> str:
    """The module of the application: it knows no engine."""
    declared = "".join(
        _TASK.format(name=task.name, module=workload.module, function=task.function, options=_options(task))
        for task in workload.tasks
    )
    return _HEAD.format(module=workload.module) + declared + _TAIL


def worker(concurrency: int) -> tuple[str, ...]:
    """The worker's command, with the script that lies beside this interpreter."""
    script = str(Path(sys.executable).with_name("taskbridge"))
    return (sys.executable, script, "worker", "-A", "app", "--concurrency", str(concurrency))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBridge(BesideNative[Driver]):
    """The same row as `native`, through TaskBridge: `taskbridge worker`, and a URL in the environment."""

    url_options: str = ""
    threads: int = 1
    """The engine's own default of threads in one process, where a number of slots is not asked for."""

    @property
    def durability(self) -> str:
        if self.broker == "amqp":
            return "persistent message to a durable queue, publish confirmed"
        return self.native.durability

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        return Application(
            files={"app.py": tasks(workload)},
            worker=worker(slots or self.threads),
            environment={"TASKBRIDGE_URL": f"{self.engine}+{url}{self.url_options}"},
        )
