"""Django's connections, transactions and savepoints, in a process of its own, since Django's settings are global."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("django")

ROOT = Path(__file__).parents[2]
OTHER = ["by alias", "by connection", "by Django's router"]
PROGRAM = """
import asyncio, contextlib, json, sys
import django
from django.conf import settings

tables = json.loads(sys.argv[1])
class Routes:
    chosen = None

    def db_for_write(self, model, **hints):
        return self.chosen

settings.configure(
    USE_TZ=True, DATABASES=tables, DATABASE_ROUTERS=[Routes()], INSTALLED_APPS=["taskbridge.django"]
)
django.setup()
from django.db import connections, transaction

import taskbridge
from taskbridge import Context
from taskbridge.errors import ConfigurationError, NoTransaction
from taskbridge.outbox import Relay, open_outbox
from taskbridge.outbox.databases import urls
from taskbridge.router import router
from tests.outbox.tasks import note

taskbridge.configure("memory://?timing=outbox", outbox=["django://default", "django://other"])
memory = router.backend()
default, other = (open_outbox(url) for url in urls(router.settings))
default.create()
default.create()
other.create()

class Undo(Exception):
    pass

@contextlib.contextmanager
def undone(**options):
    with contextlib.suppress(Undo), transaction.atomic(**options):
        yield
        raise Undo

def rows(table):
    return [json.loads(row.message)["args"][0] for row in table.waiting(100)]

def jobs():
    found = [job.args[0] for job in memory.jobs]
    memory.close()
    return found

told = {}
with transaction.atomic():
    note.enqueue("outer")
    with undone():
        note.enqueue("inner")
    with transaction.atomic():
        note.enqueue("released")
with undone():
    note.enqueue("gone")
note.enqueue("without a transaction")
with transaction.atomic(using="other"):
    note.using(connection="other").enqueue("by alias")
    note.using(connection=connections["other"]).enqueue("by connection")
with transaction.atomic(using="other"):
    Routes.chosen = "other"
    note.enqueue("by Django's router")
    told["relayed by default"] = list(urls(router.settings.__class__()))
    Routes.chosen = None
told["rows"] = [rows(default), rows(other)]

relays = [Relay(default), Relay(other)]
with transaction.atomic():
    note.enqueue("not yet")
    told["timing inside"] = note.using(timing="on_commit").enqueue("on commit").timing
    for relay in relays:
        relay.close()
    told["before the commit"] = jobs()
told["on commit"] = jobs()
told["timing outside"] = note.using(timing="on_commit").enqueue("at once").timing
told["at once"] = jobs()
for relay in relays:
    relay.beat()
told["relayed"] = jobs()

later = note.using(timing="on_commit")
with transaction.atomic():
    later.enqueue("outer")
    with undone():
        later.enqueue("inner")
    with transaction.atomic():
        later.enqueue("released")
with undone():
    later.enqueue("gone")
told["savepoints"] = jobs()

refusing = memory.enqueue
def down(messages):
    raise taskbridge.BrokerUnavailable("down", maybe_accepted=False)
memory.enqueue = down
after = []
with transaction.atomic():
    later.enqueue("lost")
    transaction.on_commit(lambda: after.append("the next callback"))
memory.enqueue = refusing
told["robust"] = after

async def coroutine():
    handles = [await note.aenqueue("by a coroutine"), await later.aenqueue("by a coroutine, now")]
    context = Context(id="job", task="note", queue_name="default", attempt=1, deadline=None)
    try:
        await context.aonce()
    except NoTransaction as error:
        return [handle.timing for handle in handles] + [str(error)]
told["coroutine"] = asyncio.run(coroutine())
told["coroutine's jobs"] = jobs()
told["coroutine's rows"] = rows(default)

context = Context(id="job", task="note", queue_name="default", attempt=1, deadline=None)
with undone():
    first = context.once()
with transaction.atomic():
    told["once"] = [first, context.once(), context.once(), context.once(key="k")]
try:
    context.once()
except NoTransaction as error:
    told["refused"] = str(error)
try:
    note.using(connection="nowhere").enqueue("never")
except ConfigurationError as error:
    told["unknown alias"] = str(error)
for relay in relays:
    relay.close()
print(json.dumps(told))
"""


def databases(kind: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    if kind == "sqlite":
        return {
            alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/{alias}.db"}
            for alias in ("default", "other")
        }
    server = request.getfixturevalue("postgres_server")
    tables = {}
    for alias in ("default", "other"):
        parts = urlsplit(server.fresh_url())
        tables[alias] = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path[1:],
            "HOST": parts.hostname,
            "PORT": parts.port,
            "USER": parts.username or "",
            "PASSWORD": parts.password or "",
        }
    return tables


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_jobs_belong_to_djangos_transactions_and_savepoints(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, json.dumps(databases(kind, tmp_path, request))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["rows"] == [["outer", "released", "without a transaction"], OTHER]
    assert told["relayed by default"] == ["django://other"]
    assert told["timing inside"] == "on_commit"
    assert told["before the commit"] == []
    assert told["on commit"] == ["on commit"]
    assert told["timing outside"] == "now"
    assert told["at once"] == ["at once"]
    assert told["relayed"] == ["outer", "released", "without a transaction", "not yet", *OTHER]
    assert told["savepoints"] == ["outer", "released"]
    assert told["robust"] == ["the next callback"]
    assert "Committed, but not enqueued" in ran.stderr
    assert told["coroutine"][:2] == ["outbox", "now"]
    assert "transaction.atomic()" in told["coroutine"][2]
    assert told["coroutine's jobs"] == ["by a coroutine, now"]
    assert told["coroutine's rows"] == ["by a coroutine"]
    assert told["once"] == [True, True, False, True]
    assert "transaction.atomic()" in told["refused"]
    assert "DATABASES has no 'nowhere'" in told["unknown alias"]
