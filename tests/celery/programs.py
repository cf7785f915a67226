"""Redis servers with a configuration of their own, Sentinel among them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.celery.conftest import until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def program(folder: Path, name: str, *arguments: str) -> Iterator[int]:
    """A `redis-server` of one's own; its port."""
    port = free_port()
    configuration = folder / f"{name}.conf"
    configuration.write_text(f"port {port}\nbind 127.0.0.1\nsave ''\ndir {folder}\n" + "\n".join(arguments))
    more = ["--sentinel"] if name.startswith("sentinel") else []
    with subprocess.Popen(["redis-server", str(configuration), *more], stdout=subprocess.DEVNULL) as process:
        try:
            client = redis.Redis(port=port)

            def answers() -> bool:
                try:
                    return bool(client.ping())
                except redis.ConnectionError:
                    return False

            until(answers, what=f"{name}'s answer")
            yield port
        finally:
            process.kill()


@contextmanager
def watched_pair(folder: Path) -> Iterator[tuple[int, int, int]]:
    """A master and its replica, which a Sentinel watches as `shop`; their ports."""
    with program(folder, "master") as master, program(folder, "replica", f"replicaof 127.0.0.1 {master}") as replica:
        watch = (
            f"monitor shop 127.0.0.1 {master} 1",
            "down-after-milliseconds shop 1000",
            "failover-timeout shop 5000",
        )
        with program(folder, "sentinel", *(f"sentinel {each}" for each in watch)) as sentinel:
            client = redis.Redis(port=sentinel)
            until(lambda: client.sentinel_slaves("shop"), what="the replica known")
            yield master, replica, sentinel


def fail_over(master: int, replica: int) -> None:
    """End the master, and wait for its successor."""
    redis.Redis(port=master).shutdown(nosave=True)
    until(lambda: redis.Redis(port=replica).role()[0] == b"master", seconds=30, what="the new master")
