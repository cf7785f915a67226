"""Redis servers with a configuration of their own, Sentinel among them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskbridge.process import free_port
from tests.waiting import until

MASTER = "shop"
PATIENCE = 40.0
"""Seconds for what takes two or three on an idle machine."""
CALM = 60_000
"""Milliseconds of silence that a Sentinel forgives: a slow machine must not change the master before a test does."""
ALERT = 1_000
"""The same, while a test has ended the master."""


class Pair(NamedTuple):
    """Ports of a master, its replica, and the Sentinel that watches them as `shop`."""

    master: int
    replica: int
    sentinel: int


@contextmanager
def program(
    folder: Path, name: str, *arguments: str, password: str | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[int]:
    """A `redis-server` of one's own; its port. `tls` is a certificate and its key."""
    executable = shutil.which("redis-server")
    if executable is None:
        pytest.skip("no redis-server on PATH, whose Sentinel and TLS this needs: apt-get install redis-server")
    port = free_port()
    configuration = folder / f"{name}.conf"
    lines = ["bind 127.0.0.1", "save ''", f"dir {folder}", f"logfile {folder / name}.log", *arguments]
    if password:
        lines.append(f"requirepass {password}")
    if tls is None:
        lines.append(f"port {port}")
    else:
        lines += ["port 0", f"tls-port {port}", f"tls-cert-file {tls[0]}", f"tls-key-file {tls[1]}"]
        lines += [f"tls-ca-cert-file {tls[0]}", "tls-auth-clients no", "tls-replication yes"]
    configuration.write_text("\n".join(lines))
    more = ["--sentinel"] if name.startswith("sentinel") else []
    with subprocess.Popen([executable, str(configuration), *more], stdout=subprocess.DEVNULL) as process:
        try:
            trust: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(tls[0])} if tls else {}
            client = redis.Redis(host="127.0.0.1", port=port, password=password, **trust)

            def answers() -> bool:
                try:
                    return bool(client.ping())
                except redis.ConnectionError:
                    return False

            until(answers, seconds=PATIENCE, what=f"{name}'s answer")
            yield port
        finally:
            process.kill()


def watching(master: int) -> list[str]:
    """A Sentinel's configuration."""
    return [
        f"sentinel monitor {MASTER} 127.0.0.1 {master} 1",
        f"sentinel down-after-milliseconds {MASTER} {CALM}",
        f"sentinel failover-timeout {MASTER} 5000",
    ]


@contextmanager
def watched_pair(folder: Path, *, password: str | None = None, sentinel_password: str | None = None) -> Iterator[Pair]:
    """A master and its replica, which has all that the master has, and which a Sentinel watches."""
    login = [f"masterauth {password}"] if password else []
    with (
        program(folder, "master", "repl-diskless-sync-delay 0", *login, password=password) as master,
        program(folder, "replica", f"replicaof 127.0.0.1 {master}", *login, password=password) as replica,
    ):
        copy = redis.Redis(port=replica, password=password)
        until(lambda: copy.info()["master_link_status"] == "up", seconds=PATIENCE, what="the replica's copy")
        login = [f"sentinel auth-pass {MASTER} {password}"] if password else []
        with program(folder, "sentinel", *watching(master), *login, password=sentinel_password) as sentinel:
            client = redis.Redis(port=sentinel, password=sentinel_password)
            until(lambda: client.sentinel_slaves(MASTER), seconds=PATIENCE, what="the replica known")
            yield Pair(master, replica, sentinel)


def fail_over(pair: Pair, *, password: str | None = None, sentinel_password: str | None = None) -> None:
    """End the master, and wait until the Sentinel names its successor."""
    sentinel: Any = redis.Redis(port=pair.sentinel, password=sentinel_password)
    redis.Redis(port=pair.master, password=password, retry=Retry(NoBackoff(), 0)).shutdown(nosave=True)
    sentinel.sentinel_set(MASTER, "down-after-milliseconds", ALERT)
    until(lambda: sentinel.sentinel_master(MASTER)["port"] == pair.replica, seconds=PATIENCE, what="the new master")
    sentinel.sentinel_set(MASTER, "down-after-milliseconds", CALM)
