"""The whole store in Redis."""

from __future__ import annotations

from taskbridge.store.redis_cancellations import RedisCancellationStore
from taskbridge.store.redis_keyed import RedisKeyedResultStore
from taskbridge.store.redis_leases import RedisLeaseStore
from taskbridge.store.redis_letters import RedisDeadLetterStore
from taskbridge.store.redis_schedules import RedisScheduleStore
from taskbridge.store.redis_waiting import RedisWaitingStore


class RedisStore(
    RedisKeyedResultStore,
    RedisLeaseStore,
    RedisDeadLetterStore,
    RedisWaitingStore,
    RedisScheduleStore,
    RedisCancellationStore,
):
    """A `Store` in keys that begin with a prefix. Redis itself forgets what has expired."""
