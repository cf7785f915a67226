"""A private PostgreSQL server, for real."""

from __future__ import annotations

import os
import subprocess
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from taskbridge import services
from taskbridge.services import Options

pytestmark = [pytest.mark.xdist_group("services"), pytest.mark.timeout(180)]


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def segments() -> set[str]:
    return set(subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout.split("\n"))


def test_a_killed_server_restarts_with_what_was_committed_and_leaves_no_shared_memory() -> None:
    with services.start("postgres") as server:
        assert ask(server.url, "SHOW fsync") == "on"
        assert server.version == str(ask(server.url, "SHOW server_version")).split()[0]
        ask(server.url, "CREATE TABLE kept AS SELECT 42 AS value")
        server.kill()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            ask(server.url, "SELECT 1")
        server.restart()
        assert ask(server.url, "SELECT value FROM kept") == 42
        assert server.directory is not None
        segment = (server.directory / "data" / "postmaster.pid").read_text().split("\n")[6].split()[1]
        assert any(f" {segment} " in line for line in segments())
        server.kill()
    assert not any(f" {segment} " in line for line in segments())
    assert not server.directory.exists()


def test_it_listens_on_loopback_and_keeps_its_socket_in_its_folder(postgres_server: services.Server) -> None:
    assert postgres_server.pid is not None
    server = psutil.Process(postgres_server.pid)
    listening = [c.laddr for c in server.net_connections("all") if c.status == "LISTEN"]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert ask(postgres_server.url, "SHOW unix_socket_directories") == str(postgres_server.directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a right to give away")
def test_root_runs_it_as_another_user(postgres_server: services.Server) -> None:
    assert psutil.Process(postgres_server.pid).username() in {"postgres", "nobody"}


def test_a_password_is_asked_for_and_fsync_can_be_off() -> None:
    with services.start("postgres", options=Options(password="pass'\"\\%/ word", fsync=False)) as server:
        assert ask(server.url, "SHOW fsync") == "off"
        parts = urlsplit(server.url)
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            ask(f"postgresql://{parts.username}@127.0.0.1:{parts.port}/postgres", "SELECT 1")


def test_the_fixture_gives_an_empty_database(postgres_url: str) -> None:
    assert ask(postgres_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
