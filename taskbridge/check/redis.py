"""A Redis server that holds jobs: may it forget them?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions
from redis.sentinel import SentinelConnectionPool

from taskbridge.check.finding import Finding, error, note, unreachable, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

FULL = 0.9
"""Of `maxmemory` and `maxclients`: from here on writes or connections are about to be refused."""


def redis_findings(client: Redis, /) -> Iterator[Finding]:
    """Reachability, eviction, persistence, memory, connections and role."""
    about = _name(client)
    try:
        server: dict[str, Any] = client.info()
    except exceptions.RedisError as problem:
        yield unreachable(about, str(problem).partition(" : <")[0])
        return
    if server.get("role") == "slave":
        yield error(
            about,
            "it is a replica",
            consequence="It refuses every write, so nothing can be enqueued.",
            remedy="Name the primary in the URL, or Sentinel.",
        )
    elif isinstance(client.connection_pool, SentinelConnectionPool) and not server.get("connected_slaves"):
        yield warning(
            about,
            "no replica follows it",
            consequence="If it dies nobody can take its place, and the jobs wait until it is back.",
            remedy="Start a replica, or see why it does not keep up: INFO replication.",
        )
    yield from _eviction(about, server)
    yield from _last_writes(about, server)
    yield from _connections(about, server)
    try:
        settings: dict[str, str] = {}
        for name in ("save", "appendfsync", "appendonly"):  # one by one: several at once came with Redis 7
            settings |= client.config_get(name)  # type: ignore[arg-type]  # as above
    except exceptions.RedisError:
        yield note(
            about,
            "CONFIG GET is forbidden, so how it persists cannot be seen",
            consequence="A restart may lose every job that waits.",
            remedy="Look there for append-only persistence (AOF).",
        )
        return
    yield from _persistence(about, settings)


def _eviction(about: str, server: dict[str, Any]) -> Iterator[Finding]:
    policy = server.get("maxmemory_policy", "noeviction")
    limit = server.get("maxmemory", 0)
    if policy != "noeviction":
        judge, while_, consequence = (
            (error, "", "When memory is full Redis deletes jobs, results and leases without a trace.")
            if limit
            else (warning, ", with no maxmemory today", "Once a maxmemory is set, jobs are deleted without a trace.")
        )
        yield judge(
            about,
            f"maxmemory-policy is {policy}{while_}",
            consequence=consequence,
            remedy="Set maxmemory-policy noeviction; keep caches on another server.",
        )
    if limit and server.get("used_memory", 0) > FULL * limit:
        yield warning(
            about,
            f"{server['used_memory'] / limit:.0%} of maxmemory is used",
            consequence="When it is full, enqueuing is refused and workers cannot settle what they ran.",
            remedy="Raise maxmemory, add workers, or shorten result_ttl.",
        )


def _last_writes(about: str, server: dict[str, Any]) -> Iterator[Finding]:
    for key, name in (("rdb_last_bgsave_status", "snapshot"), ("aof_last_write_status", "append to its file")):
        if server.get(key, "ok") != "ok":
            yield error(
                about,
                f"its last {name} failed",
                consequence="Redis may refuse writes, and a restart loses what was not written.",
                remedy="Look at its log: mostly the disk is full or not writable.",
            )


def _connections(about: str, server: dict[str, Any]) -> Iterator[Finding]:
    limit, used = server.get("maxclients", 0), server.get("connected_clients", 0)
    if limit and used > FULL * limit:
        yield warning(
            about,
            f"{used} of {limit} connections are taken (maxclients)",
            consequence="Beyond that workers cannot connect again after a cut, and enqueuing raises BrokerUnavailable.",
            remedy="Raise maxclients or your plan, run fewer processes, or look for connections that nobody closes.",
        )


def _persistence(about: str, settings: dict[str, str]) -> Iterator[Finding]:
    if settings.get("appendonly") == "yes":
        if settings.get("appendfsync") == "no":
            yield warning(
                about,
                "appendfsync is no",
                consequence="A power loss takes what the system had not written yet, often 30 s of jobs.",
                remedy="Set appendfsync everysec, or always.",
            )
        return
    if settings.get("save"):
        yield warning(
            about,
            f"it writes snapshots only (save {settings['save']})",
            consequence="A restart loses the jobs since the last one, and runs again those that ended since.",
            remedy="Set appendonly yes.",
        )
        return
    yield error(
        about,
        "it persists nothing (appendonly no, no save points)",
        consequence="A restart or crash of Redis loses every job that waits.",
        remedy="Set appendonly yes. For jobs that may be lost, ignore this.",
    )


def _name(client: Redis) -> str:
    pool = client.connection_pool
    arguments = pool.connection_kwargs
    database = arguments.get("db", 0)
    if isinstance(pool, SentinelConnectionPool):
        return f"Redis behind Sentinel, master {pool.service_name!r}, database {database}"
    where = arguments.get("path") or f"{arguments.get('host', 'localhost')}:{arguments.get('port', 6379)}"
    return f"Redis at {where}/{database}"
