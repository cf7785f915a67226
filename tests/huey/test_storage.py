"""How jobs reach Huey's storages, and what is refused before they do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from huey import Huey, MemoryHuey
from huey.serializer import Serializer, SignedSerializer

from taskbridge.errors import BrokerUnavailable, ConfigurationError, EnqueueError
from taskbridge.settings import parse_url
from taskbridge_huey import HueyBackend
from taskbridge_huey.storage import LOCK_SECONDS
from tests.huey import tasks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.huey.conftest import Shop

FORKING = """
import os, sys
from huey import SqliteHuey
from taskbridge.message import Message
from taskbridge.settings import parse_url
from taskbridge_huey import HueyBackend

file = sys.argv[1]
stock = SqliteHuey("stock", filename=file)
stock.pending()
backend = HueyBackend(parse_url(f"huey+sqlite:///{file}"))
backend.enqueue([Message("1", "parent", [], {})])
inherited = backend.instance("default").storage._conn
child = os.fork()
if child == 0:
    print("stock carries its connection over:", stock.storage._conn is not None, flush=True)
    print("ours does:", backend.instance("default").storage._conn is inherited, flush=True)
    backend.enqueue([Message("2", "child", [], {})])
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
backend.enqueue([Message("3", "parent", [], {})])
print("stored:", backend.instance("default").storage.queue_size())
"""


def test_two_queues_that_are_one_key_on_redis_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'a-b' and 'ab' are one to Huey, which calls both 'ab' on Redis"):
        HueyBackend(parse_url("huey+redis://localhost"), queues=["a-b", "ab"])
    with pytest.raises(ConfigurationError, match="drops every character of the queue name '---'"):
        HueyBackend(parse_url("huey+redis://localhost"), queues=["---"])


def test_two_such_queues_are_two_in_a_file(tmp_path: Path) -> None:
    backend = HueyBackend(parse_url(f"huey+sqlite:///{tmp_path}/queue.db"), queues=["a-b", "ab"])
    backend.instance("a-b").storage.enqueue(b"1")
    assert backend.instance("ab").storage.queue_size() == 0
    backend.close()


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 100)
    for name in ("text.db", "missing/queue.db"):
        backend = HueyBackend(parse_url(f"huey+sqlite:///{tmp_path}/{name}"))
        with pytest.raises(BrokerUnavailable, match=rf"{name}: the file cannot be opened") as caught:
            backend.instance("default")
        assert not caught.value.maybe_accepted


@pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
def test_a_locked_file_is_an_error_in_the_stated_time_and_the_job_is_not_there(shop: Shop) -> None:
    backend = shop.configure()
    tasks.where.enqueue("before")
    holder = sqlite3.connect(shop.folder / "queue.db", isolation_level=None)
    holder.execute("begin exclusive")
    started = time.monotonic()
    with pytest.raises(EnqueueError, match="did not take the job: database is locked") as caught:
        tasks.where.enqueue("locked out")
    waited = time.monotonic() - started
    holder.execute("rollback")
    holder.close()
    assert not caught.value.maybe_accepted
    assert LOCK_SECONDS * 0.9 <= waited < LOCK_SECONDS + 5
    tasks.where.enqueue("after")
    assert backend.instance("default").storage.queue_size() == 2
    backend.close()


def test_a_forked_child_has_a_connection_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path / "queue.db")],
        capture_output=True, text=True, check=True, timeout=40,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["stock carries its connection over: True", "ours does: False", "stored: 3"]


@pytest.mark.parametrize("serializer", [SignedSerializer(secret="s"), Serializer(compression=True)])
def test_an_instance_whose_messages_leave_no_room_is_refused(serializer: Serializer) -> None:
    with pytest.raises(ConfigurationError, match=r"'shop' signs, compresses or encodes.*plain serializer"):
        HueyBackend(huey=MemoryHuey("shop", serializer=serializer))


def test_a_backend_needs_one_way_to_its_storage() -> None:
    with pytest.raises(ConfigurationError, match="either a URL or a Huey instance"):
        HueyBackend()
    with pytest.raises(ConfigurationError, match="either a URL or a Huey instance"):
        HueyBackend(parse_url("huey+redis://localhost"), huey=Huey("shop", storage_class=None, immediate=True))
