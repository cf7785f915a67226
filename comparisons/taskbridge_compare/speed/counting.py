"""Broker commands: the one measure of speed that has no noise."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskbridge_compare.drivers import Broker

# What connecting, polling and looking costs is not a job's.
_NOT_COUNTED = ("info", "client|setinfo", "client|setname", "select", "hello", "ping", "config|get", "command")


def commands(broker: Broker, url: str) -> dict[str, int] | None:
    """Calls by command so far on the whole server, or None where the broker does not count."""
    if broker != "redis":
        return None
    import redis

    with contextlib.closing(redis.Redis.from_url(url)) as client:
        stats = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): int(value["calls"])
        for name, value in stats.items()
        if name.removeprefix("cmdstat_") not in _NOT_COUNTED
    }


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What was called between two looks, without the looks themselves."""
    return {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}


def shown(calls: dict[str, int], jobs: int) -> str:
    """Calls a job, the most frequent first."""
    parts = sorted(calls.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name.upper()} {count / jobs:.1f}" for name, count in parts if count / jobs >= 0.05)
