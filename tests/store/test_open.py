"""From a URL to a store, and what is said when there is no way."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from taskbridge.errors import BackendNotInstalled, ConfigurationError, StoreUnavailable
from taskbridge.process import free_port
from taskbridge.store import open_store, sqlite
from taskbridge.store.sql import SQLStore

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.store import NewRecord


def test_an_unknown_scheme_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no store has the scheme 'mysql'; there are memory://, postgres://"):
        open_store("mysql://root:secret@host/db")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///./folder/",
        "sqlite://file.db",
        "sqlite:///./a.db?timeout=3",
        "memory://name",
        "redis://user:sec/ret@host:port/0",
        "redis://:secret@host/0?speling=1",
        "postgresql://user:secret@host/db?speling=1",
        "postgresql://user:se%zzcret@host/db",
    ],
)
def test_a_url_that_cannot_work_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert "cret" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no folder {tmp_path}/no"):
        open_store(f"sqlite:///{tmp_path}/no/a.db")


def test_three_slashes_are_relative_and_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: NewRecord
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = open_store("sqlite:///./a%20b.db")
    monkeypatch.chdir("/")
    relative.queued([job])
    relative.close()
    absolute = open_store(f"sqlite:///{tmp_path}/a%20b.db")
    assert absolute.read(job.id) is not None
    absolute.close()


@pytest.mark.parametrize(
    ("package", "extra", "url"), [("psycopg", "postgres", "postgresql"), ("redis", "redis", "redis")]
)
def test_a_missing_client_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str, url: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for module in [name for name in sys.modules if name.startswith(f"taskbridge.store.{url}")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(BackendNotInstalled, match=rf"pip install 'taskbridge\[{extra}\]'"):
        open_store(f"{url}://localhost/0")


def test_importing_the_store_loads_no_client_library() -> None:
    probe = (
        "import sys, taskbridge.store, taskbridge.result\n"
        "print([name for name in ('redis', 'psycopg', 'sqlite3', 'django') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=30)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_a_server_that_is_not_there_is_reported_within_its_time(scheme: str) -> None:
    store = open_store(f"{scheme}://user:secret@127.0.0.1:{free_port()}/0")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        store.read("any")
    assert time.monotonic() - began < 5
    assert "secret" not in str(caught.value)
    store.close()


def test_a_redis_that_does_not_answer_is_asked_once_and_given_up_in_time(job: NewRecord) -> None:
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return

        accepting = threading.Thread(target=accept)
        accepting.start()
        store = open_store(f"redis://127.0.0.1:{server.getsockname()[1]}/0?socket_timeout=0.3")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.queued([job])
        assert time.monotonic() - began < 4.5, "five seconds unless it is told"
        store.close()
        server.shutdown(socket.SHUT_RDWR)
        accepting.join(timeout=5)
    assert len(connections) == 1
    for each in connections:
        each.close()


def test_a_locked_sqlite_file_is_reported_when_the_wait_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: NewRecord
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.3)
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    store.queued([job])
    holder = sqlite.sqlite_database(tmp_path / "a.db")

    def write_meanwhile(_: object) -> None:
        assert store.read(job.id) is not None
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"a\.db did not answer: database is locked"):
            store.forget([job.id])
        assert 0.2 < time.monotonic() - began < 4.5, "five seconds unless it is told"

    holder.in_transaction(write_meanwhile)
    store.forget([job.id])
    assert store.read(job.id) is None
    assert isinstance(store, SQLStore)
    holder.close()
    store.close()
