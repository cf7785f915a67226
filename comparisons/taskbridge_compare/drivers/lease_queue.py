"""A small queue of leases in an SQLite file, sound or with one planted bug: the gauntlet must tell which is which."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from taskbridge_compare.drivers.driver import Application, Broker, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge_compare.workload import Workload

Bug = Literal["none", "acks-early", "no-reaper", "no-renewal", "no-fence", "zombie-acks"]

_APP = """\
import json
import sqlite3
import subprocess
import sys
import threading
import time
import uuid

import probe
import {module}

PATH, BUG, SLOTS = {path!r}, {bug!r}, {slots}
LEASE = 0.2 if BUG == "no-renewal" else 3.0
FUNCTIONS = {functions}


def connect():
    connection = sqlite3.connect(PATH, timeout=30, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table if not exists job (id text primary key, task, body, owner, until real)")
    return connection


def enqueue(name, job, delay=None, expires=None, priority=None):
    if None not in (delay, expires, priority):
        raise ValueError("this queue has no options")
    job_id = str(uuid.uuid4())
    producer.execute("insert into job values (?, ?, ?, '', 0)", (job_id, name, json.dumps(job)))
    return job_id


def claim(connection, token):
    held = "until = 0" if BUG == "no-reaper" else "until < ?"
    known = () if BUG == "no-reaper" else (time.time(),)
    connection.execute("begin" if BUG == "no-fence" else "begin immediate")
    row = connection.execute(f"select id, task, body from job where {{held}} order by rowid limit 1", known).fetchone()
    if BUG == "no-fence":
        connection.execute("commit")
        time.sleep(0.005)
        connection.execute("begin immediate")
    if row is not None and BUG == "acks-early":
        connection.execute("delete from job where id = ?", row[:1])
    elif row is not None:
        connection.execute("update job set owner = ?, until = ? where id = ?", (token, time.time() + LEASE, row[0]))
    connection.execute("commit")
    return row


def renew(job_id, token, done):
    with_own = connect()
    while not done.wait(LEASE / 6):
        with_own.execute("update job set until = ? where id = ? and owner = ?", (time.time() + LEASE, job_id, token))
    with_own.close()


def slot():
    connection = connect()
    while True:
        token = str(uuid.uuid4())
        row = claim(connection, token)
        if row is None:
            time.sleep(0.02)
            continue
        job_id, name, body = row
        done = threading.Event()
        if BUG != "no-renewal":
            threading.Thread(target=renew, args=(job_id, token, done)).start()
        probe.attempt(getattr({module}, FUNCTIONS[name]), json.loads(body))
        done.set()
        # Without renewal two would take a long job from each other for ever.
        owner = "owner" if BUG in ("no-renewal", "zombie-acks") else "?"
        connection.execute(f"delete from job where id = ? and owner = {{owner}}", (job_id, token)[: 1 + (owner == "?")])


producer = connect()
if __name__ == "__main__":
    if sys.argv[1:] == ["slot"]:
        slot()
    for each in [subprocess.Popen([sys.executable, "app.py", "slot"]) for _ in range(SLOTS)]:
        each.wait()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQueue:
    """Only run when it is asked for, as `lease+no-reaper`."""

    bug: Bug
    broker: Broker = "sqlite"
    profile: Profile = "planted"
    no_time_limit: str = "it has none"
    distributions: tuple[str, ...] = ()
    durability: str = "SQLite file, WAL"
    bounds: Mapping[str, str] = field(default_factory=dict)

    @property
    def backend(self) -> str:
        return f"lease+{'sound' if self.bug == 'none' else self.bug}"

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        text = _APP.format(
            module=workload.module,
            path=url.removeprefix("sqlite:///"),
            bug=self.bug,
            slots=slots or 1,
            functions={task.name: task.function for task in workload.tasks},
        )
        return Application(files={"app.py": text}, worker=(sys.executable, "app.py"))


LEASE_QUEUES = [LeaseQueue(bug=bug) for bug in get_args(Bug)]
