"""A Django project on a database of its own. Django runs in other processes: it has one settings module in each."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from taskbridge.process import Command, Process
from tests.forks import run_python
from tests.shop_ledger import ShopLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.services import Server

ROOT = Path(__file__).parents[2]
LEGACY = ROOT / "tests" / "legacy"
TABLE = "django_tasks_database_dbtaskresult"
PLAIN = ("id", "status", "task_path", "exception_class_path", "traceback")
JSON = ("worker_ids", "return_value", "args_kwargs")
PATIENCE = timedelta(seconds=40)
QUIET_SECONDS = 3.0
"""Twice what a quick worker needs to notice a silence."""
HEAD = """
import json, os, taskbridge
from datetime import datetime, timedelta, timezone
from taskbridge.router import router
taskbridge.configure(os.environ["SHOP_URL"], queues=("default", "mail"), imports=("tests.django.application",))
backend = router.backend()
from django.db import connection, transaction
from django_tasks_db.models import DBTaskResult
from tests.django import application
"""

_commands: dict[tuple[str, ...], Any] = {}
"""Worker command lines by URL and native arguments: alike for all databases, which the environment names."""


class Project(ShopLedger):
    """One application, on one database."""

    def __init__(self, database: str, folder: Path, url: str = "django+db://default") -> None:
        self.folder = folder
        self.ledger = folder / "ledger"
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "tests.django_project.settings",
            "TEST_DATABASE": database,
            "SHOP_LEDGER": str(self.ledger),
            "SHOP_URL": url,
            "PYTHONDONTWRITEBYTECODE": "",  # every start but the first is then twice as fast
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(LEGACY / "django"))),
        }
        self._closing = ExitStack()
        self._session: psycopg.Connection[Any] | None = None

    def python(self, code: str, **environment: str) -> Any:
        """What a program of the project prints last, which is JSON."""
        ran = run_python(
            code,
            environment={**self.environment, **environment},
            directory=self.folder,
            timeout=PATIENCE.total_seconds(),
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return json.loads(ran.stdout.splitlines()[-1]) if ran.stdout else None

    def enqueue(self, code: str, **environment: str) -> Any:
        """The same, with the backend open and the application imported."""
        return self.python(HEAD + code, **environment)

    def hold(self, task: str = "application.holds") -> str:
        """Enqueue a job that runs until there is a file of the name that is returned."""
        opened = str(self.folder / "opened")
        self.enqueue(f"{task}.enqueue({opened!r})")
        return opened

    def migrate(self) -> None:
        """Create the tables of django-tasks-db."""
        subprocess.run(
            [sys.executable, "-m", "django", "migrate", "-v0"], env={**os.environ, **self.environment}, check=True
        )

    def rows(self) -> list[dict[str, Any]]:
        """All jobs, oldest first."""
        columns = [*PLAIN, *(f"CAST({name} AS TEXT)" for name in JSON)]
        found = self.query(f"SELECT {', '.join(columns)} FROM {TABLE} ORDER BY enqueued_at")
        rows = [dict(zip((*PLAIN, *JSON), row, strict=True)) for row in found]
        return [{**row, **{name: json.loads(row[name]) for name in JSON if row[name] is not None}} for row in rows]

    def query(self, statement: str, *, patience: float = 20) -> list[Any]:
        """What a statement gives, on a connection that is not Django's. SQLite waits so many seconds for its lock."""
        database = self.environment["TEST_DATABASE"]
        if database.startswith("sqlite:"):
            connection = sqlite3.connect(database.removeprefix("sqlite:///"), timeout=patience)
            with contextlib.closing(connection), connection:
                return connection.execute(statement).fetchall()
        try:
            cursor = self._connected(database).execute(statement)
        except psycopg.OperationalError:  # the server has ended that session, and done nothing
            self._session = None
            cursor = self._connected(database).execute(statement)
        return cursor.fetchall() if cursor.description else []

    def _connected(self, database: str) -> psycopg.Connection[Any]:
        """One session for all that is asked: who waits asks a hundred times a second."""
        if self._session is None:
            self._session = psycopg.connect(database, autocommit=True)
            self._closing.callback(self._session.close)
        return self._session

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Within the block PostgreSQL ends every session of the database, and takes no new one."""
        database = self.environment["TEST_DATABASE"]
        name = urlsplit(database).path[1:]
        with psycopg.connect(urlsplit(database)._replace(path="/postgres").geturl(), autocommit=True) as session:
            session.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
            session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            try:
                yield
            finally:
                session.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))

    def worker(self, *arguments: str, **environment: str) -> Process:
        """A worker that TaskBridge runs."""
        return self.start(self._command(*arguments, **environment))

    def _command(self, *arguments: str, **environment: str) -> Command:
        asked = f"queues=('default', 'mail'), imports=('tests.django.application',), native_arguments={arguments!r}"
        key = (self.environment["SHOP_URL"], *arguments)
        if key not in _commands:
            _commands[key] = self.enqueue(
                f"from taskbridge.backend import WorkerOptions\n"
                f"(command,) = backend.worker_commands(WorkerOptions({asked}))\n"
                f"print(json.dumps([command.argv, dict(command.environment)]))"
            )
        argv, variables = _commands[key]
        return Command(argv=tuple(argv), environment={**variables, **self.environment, **environment})

    def quick_worker(self, bug: str = "") -> Process:
        """The same with leases that end in a second, and with a planted bug."""
        started = self._command()
        argv = tuple(word.replace("taskbridge_django_tasks.app", "tests.django.planted") for word in started.argv)
        return self.start(Command(argv=argv, environment={**started.environment, "TEST_BUG": bug}))

    def legacy(self, *arguments: str) -> Process:
        """A program of the shop, where TaskBridge cannot be imported."""
        argv = (sys.executable, str(LEGACY / "without_taskbridge.py"), *arguments)
        environment = {**self.environment, "DJANGO_SETTINGS_MODULE": "settings"}
        return self.start(Command(argv=argv, environment=environment, directory=LEGACY / "django"))

    def stock_worker(self) -> Process:
        """django-tasks-db's own, of the shop."""
        options = ("--queue-name", "*", "--interval", "0.05", "--no-startup-delay", "--no-reload")
        return self.legacy("django", "db_worker", *options)

    def start(self, command: Command) -> Process:
        """Start a program of the project."""
        log = self.folder / f"log-{len(list(self.folder.iterdir()))}"
        process = Process(command, log=log)
        self._closing.callback(process.kill_tree)
        return process

    def until(self, holds: Callable[[], object], worker: Process) -> None:
        """Wait until something holds while the worker runs."""
        worker.wait_until(lambda: bool(holds()), within=PATIENCE, what="seen to do it")

    def finish(self, worker: Process, *, jobs: int) -> list[dict[str, Any]]:
        """The rows, once this many have ended."""

        def ended() -> int:
            return sum(row["status"] in ("FAILED", "SUCCESSFUL") for row in self.rows())

        self.until(lambda: ended() >= jobs, worker)
        return self.rows()

    def close(self) -> None:
        self._closing.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables of django-tasks-db."""
    folder = tmp_path_factory.mktemp("migrated")
    file = folder / "database.sqlite3"
    Project(f"sqlite:///{file}", folder).migrate()
    return file


@pytest.fixture
def on_sqlite(migrated_file: Path, tmp_path: Path) -> Iterator[Project]:
    """A project on an empty SQLite file."""
    file = tmp_path / "database.sqlite3"
    for part in migrated_file.parent.iterdir():
        shutil.copy(part, tmp_path / part.name)
    project = Project(f"sqlite:///{file}", tmp_path)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture(scope="session")
def migrated_database(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a PostgreSQL database with the tables of django-tasks-db, which nobody is connected to."""
    url = postgres_server.fresh_url()
    Project(url, tmp_path_factory.mktemp("migrated")).migrate()
    return url


@pytest.fixture
def on_postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """A project on an empty PostgreSQL database."""
    parts = urlsplit(request.getfixturevalue("migrated_database"))
    name = f"project_{uuid4().hex}"
    with psycopg.connect(parts._replace(path="/postgres").geturl(), autocommit=True) as session:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        session.execute(copy.format(sql.Identifier(name), sql.Identifier(parts.path[1:])))
    project = Project(parts._replace(path=f"/{name}").geturl(), tmp_path)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture(params=["sqlite", "postgres"])
def project(request: pytest.FixtureRequest) -> Project:
    """A project on each kind of database."""
    found: Project = request.getfixturevalue(f"on_{request.param}")
    return found
