"""Django tasks as the documents of Django and of each backend show them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from taskbridge_compare.drivers.driver import Application, Broker, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge_compare.workload import Workload

_SETTINGS = """\
SECRET_KEY = "only for this run"
USE_TZ = True
INSTALLED_APPS = {apps}
DATABASES = {{"default": {database}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TASKS = {{"default": {{"BACKEND": "{backend}"}}}}
{more}"""
_MANAGE = """\
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""
_HEAD = """\
import os
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

import django
from django.apps import apps

if not apps.ready:
    django.setup()

from django.utils import timezone
{import_task}

import probe
import {module}
"""
_TASK = """

@task
def {name}(job):
    return probe.attempt({module}.{function}, job)
"""
_TAIL = """

if os.environ.get("SHOP_NEXT_RELEASE"):  # a producer of the next release knows a task that the worker does not

    @task
    def from_next_release(job):
        return None


PRIORITIES = {"low": -50, "normal": 0, "high": 50}


def enqueue(name, job, delay=None, expires=None, priority=None):
    options = {}
    if delay is not None:
        options["run_after"] = timezone.now() + timedelta(seconds=delay)
    if expires is not None:
        options["expires"] = expires  # no such option: the refusal is the answer
    if priority is not None:
        options["priority"] = PRIORITIES[priority]
    declared = globals()[name]
    return (declared.using(**options) if options else declared).enqueue(job).id


def enqueue_many(name, jobs):  # there is no bulk call
    declared = globals()[name]
    for job in jobs:
        declared.enqueue(job)
"""


def _core() -> bool:
    """True if Django has the task framework itself (6.0 and later)."""
    import django

    return bool(django.VERSION >= (6, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeDjango:
    """`db_worker` on a database, or django-rq's worker on Redis; Django's settings by default."""

    kind: Literal["db", "rq"]
    broker: Broker
    profile: Profile = "native"
    no_time_limit: str = "Django tasks have no such option"

    @property
    def backend(self) -> str:
        return "django+rq" if self.kind == "rq" else f"django+db-{self.broker}"

    @property
    def distributions(self) -> tuple[str, ...]:
        if self.kind == "rq":
            return ("Django", "django-tasks", "django-tasks-rq", "django-rq", "rq", "redis")
        return ("Django", "django-tasks", "django-tasks-db", *(("psycopg",) if self.broker == "postgres" else ()))

    @property
    def durability(self) -> str:
        return {
            "redis": "in the memory of Redis (no persistence); several round trips, replied to",
            "sqlite": "SQLite file, rollback journal, fsync at each commit (Django's default)",
            "postgres": "PostgreSQL, fsync and synchronous_commit on",
            "amqp": "",
        }[self.broker]

    @property
    def bounds(self) -> Mapping[str, str]:
        if self.kind == "rq":
            return {
                "rq:wip": "about 90 s of registry time plus up to 405 s of an idle worker's blocking read, then failed",
                "rq:failed": "kept a year; it can be requeued from django-rq",
                "rq:scheduled": "when it is due, by a worker with a scheduler",
            }
        return {
            "RUNNING": "never: django-tasks-db has no lease and no reaper",
            "FAILED": "kept until prune_db_task_results",
            "READY": "the worker's next poll, each second",
        }

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        del slots  # one job at a time is all a worker does
        tasks = "".join(
            _TASK.format(name=task.name, module=workload.module, function=task.function) for task in workload.tasks
        )
        core = self.kind == "db" and _core()
        import_task = "from django.tasks import task" if core else "from django_tasks import task"
        files = {
            "settings.py": self._settings(url, core),
            "app.py": _HEAD.format(module=workload.module, import_task=import_task) + tasks + _TAIL,
            "manage.py": _MANAGE,
        }
        manage = (sys.executable, "manage.py")
        if self.kind == "rq":
            command = ("rqworker", "default", "--job-class", "django_tasks_rq.Job", "--with-scheduler")
            return Application(files=files, worker=(*manage, *command))
        return Application(
            files=files, worker=(*manage, "db_worker"), setup=((*manage, "migrate", "--verbosity", "0"),)
        )

    def _settings(self, url: str, core: bool) -> str:
        database: dict[str, object] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        more = ""
        if self.kind == "rq":
            apps = ["django_tasks", "django_rq", "django_tasks_rq"]
            backend = "django_tasks_rq.RQBackend"
            more = f'RQ_QUEUES = {{"default": {{"URL": {url!r}}}}}\n'
        else:
            apps = ["django_tasks_db"] if core else ["django_tasks", "django_tasks_db"]
            backend = "django_tasks_db.DatabaseBackend"
            database = _database(url)
        return _SETTINGS.format(apps=apps, database=database, backend=backend, more=more)


def _database(url: str) -> dict[str, object]:
    if url.startswith("sqlite:///"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite:///")}
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }
