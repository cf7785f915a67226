"""The store on Django's own connection, in a process of its own, since Django's settings are global."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("django")

PROGRAM = """
import sys
from datetime import datetime, timedelta, timezone
import django
from django.conf import settings

engine, name, host, port, user, password = sys.argv[1:]
settings.configure(
    USE_TZ=True,
    DEBUG=True,
    DATABASES={"default": {
        "ENGINE": f"django.db.backends.{engine}", "NAME": name, "HOST": host, "PORT": port, "USER": user,
        "PASSWORD": password,
    }},
)
django.setup()
from django.db import connections, transaction

from taskbridge.message import Message
from taskbridge.store import DeadLetter, NewRecord, Retrying, Selection, Started, Succeeded, TaskError
from taskbridge.store.database import CallersDatabase
from taskbridge.store.dialect import POSTGRESQL, SQLITE
from taskbridge.store.sql import SQLStore

dialect = (SQLITE if engine == "sqlite3" else POSTGRESQL).through_django()
store = SQLStore(CallersDatabase(lambda: connections["default"], dialect))
with transaction.atomic():
    store.create_tables()
    store.create_tables()

def job(name):
    return NewRecord(id=name, task="50 % ? %s", queue_name="default", backend="default")

class Undo(Exception):
    pass

try:
    with transaction.atomic():
        store.queued([job("undone"), job("undone too")])
        assert store.read("undone") is not None
        raise Undo
except Undo:
    pass
assert store.read("undone") is None

with transaction.atomic():
    store.queued([job("kept")])
now = datetime.now(timezone.utc)
error = TaskError(attempt=1, at=now, exception_class_path="e", message="50 % ? %s", traceback="")
store.record(job("kept"), Started(attempt=1, at=now))
store.record(job("kept"), Retrying(error=error, run_after=now))
store.record(job("kept"), Succeeded(attempt=2, at=now, value="50 % ? %s"))
record = store.read("kept")
assert record.value == record.task == record.errors[0].message == "50 % ? %s"
assert record.finished_at == now
assert store.sweep() == 0
lease = store.acquire("50 % ? %s", holder="a", span=timedelta(minutes=1))
assert store.acquire("50 % ? %s", holder="b", span=timedelta(minutes=1)) is None
assert store.renew([lease], span=timedelta(minutes=1)) == {"50 % ? %s"}
store.release([lease])
assert store.acquire("50 % ? %s", holder="b", span=timedelta(minutes=1)).token > lease.token
assert [store.count("50 % ? %s", span=timedelta(minutes=1)) for _ in range(2)] == [1, 2]
letter = DeadLetter(
    id="dead", task="50 % ? %s", queue_name="q", backend="b", reason="exhausted", buried_at=now, error=error,
    message=Message("dead", "t", ["50 % ? %s"], {}), expires_at=now + timedelta(days=1),
)
store.bury(letter)
store.bury(letter)
(read,) = store.letters(Selection(ids=("dead",), task="50 % ? %s", since=now))
assert read.message == letter.message
store.redriven("dead", number=1, at=now)
assert list(store.letters(Selection())) == []
assert store.discard(["dead"]) == 1
once = dict(job=job("once"), holder="a", span=timedelta(minutes=1), waits="50 % ? none")
key, is_recorded = store.start_with_key("50 % ? %s", started=Started(attempt=1, at=now), **once)
ended = Succeeded(attempt=1, at=now, value="50 % ? %s")
assert is_recorded
assert store.end_with_key(key, job=job("once"), ended=ended, kept=timedelta(minutes=1)) == (True, True)
assert store.read_key("50 % ? %s").done_at is not None
store.forget(["kept"])
assert store.read("kept") is None
connections.close_all()
"""


def run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_djangos_sqlite_connection_serves(tmp_path: Path) -> None:
    run("sqlite3", str(tmp_path / "django.db"), "", "", "", "")


def test_djangos_postgresql_connection_serves(postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    run(
        "postgresql",
        parts.path.strip("/"),
        parts.hostname or "",
        str(parts.port or ""),
        parts.username or "",
        parts.password or "",
    )
