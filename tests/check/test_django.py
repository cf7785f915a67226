"""`taskbridge check` of Django tasks: databases and Redis servers that are set up badly, and good ones."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from taskbridge.process import free_port
from tests.check.command import bad, check
from tests.conformance.backends import SERVED
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskbridge import services

pytestmark = pytest.mark.timeout(120)
CARELESS = ("fsync", "full_page_writes", "synchronous_commit")


def found(folder: Path, url: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    path = os.pathsep.join((str(folder), environment["PYTHONPATH"]))
    return check(folder, url, environment={**environment, "PYTHONPATH": path})[1]


def unmigrated(name: str, **settings: str) -> tuple[str, dict[str, str]]:
    """URL and environment of a backend on a database in memory, or as the settings say."""
    served = SERVED[name]
    return served.url, {**served.environment, "TEST_DATABASE": "sqlite:///:memory:", **settings}


@contextmanager
def carelessly(url: str) -> Iterator[None]:
    """Within the block the PostgreSQL server writes nothing to the disk in time."""
    with psycopg.connect(url, autocommit=True) as session:

        def turn(command: str, wanted: str) -> None:
            for name in CARELESS:
                session.execute(sql.SQL(command).format(sql.Identifier(name)))
            session.execute("SELECT pg_reload_conf()")
            until(lambda: {session.execute(f"SHOW {name}").fetchone() for name in CARELESS} == {(wanted,)}, seconds=30)

        turn("ALTER SYSTEM SET {} = off", "off")
        try:
            yield
        finally:
            turn("ALTER SYSTEM RESET {}", "on")


def test_nothing_is_found_against_a_database_that_keeps_what_it_commits(tmp_path: Path) -> None:
    url, environment = SERVED["django+db"].on(str, tmp_path)
    assert bad(found(tmp_path, url, environment)) == []


def test_a_postgresql_that_may_lose_what_it_has_committed_is_found(
    postgres_server: services.Server, tmp_path: Path
) -> None:
    url, environment = SERVED["django+db+postgres"].on(lambda _: postgres_server.fresh_url(), tmp_path)
    findings = found(tmp_path, url, environment)
    assert bad(findings) == []
    assert "it has no connect_timeout" in [finding["what"] for finding in findings]
    with carelessly(environment["TEST_DATABASE"]):
        assert sorted(bad(found(tmp_path, url, environment))) == [f"{name} is off" for name in CARELESS]


def test_a_database_in_memory_and_tables_that_are_missing_are_found(tmp_path: Path) -> None:
    findings = found(tmp_path, *unmigrated("django+db"))
    assert {"it is in memory", "the table django_tasks_database_dbtaskresult is missing"} <= set(bad(findings))


def test_a_database_that_is_not_there_is_found_and_its_password_is_not_shown(tmp_path: Path) -> None:
    nowhere = f"postgresql://user:hunter22@127.0.0.1:{free_port()}/shop"
    findings = found(tmp_path, *unmigrated("django+db+postgres", TEST_DATABASE=nowhere))
    assert any("cannot be reached" in what for what in bad(findings))
    assert "hunter22" not in json.dumps(findings)


def test_a_redis_that_evicts_and_persists_nothing_is_found_once_for_all_queues(
    careless: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKBRIDGE_QUEUES", "default,second")
    what = bad(found(tmp_path, *unmigrated("django+rq", TEST_REDIS=careless)))
    assert what.count("maxmemory-policy is allkeys-lru") == 1
    assert sum(each.startswith("it persists nothing") for each in what) == 1


@pytest.mark.wide
def test_nothing_is_found_against_a_durable_redis(durable: services.Server, tmp_path: Path) -> None:
    assert bad(found(tmp_path, *unmigrated("django+rq", TEST_REDIS=durable.fresh_url()))) == []


@pytest.mark.wide
def test_a_redis_that_is_not_there_is_found_and_its_password_is_not_shown(tmp_path: Path) -> None:
    nowhere = f"redis://user:hunter22@127.0.0.1:{free_port()}/0"
    findings = found(tmp_path, *unmigrated("django+rq", TEST_REDIS=nowhere))
    assert any("cannot be reached" in what for what in bad(findings))
    assert "hunter22" not in json.dumps(findings)
