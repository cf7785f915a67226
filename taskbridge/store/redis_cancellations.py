"""Cancellations in Redis, which itself forgets them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from taskbridge.store.redis_keys import BATCH, RedisKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis


class RedisCancellationStore(RedisKeys):
    """A `CancellationStore` in keys named `PREFIX:cancelled:ID` and `PREFIX:terminated:ID`."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        self._cancelled = f"{prefix}:cancelled:"
        self._terminated = f"{prefix}:terminated:"

    def ask_to_cancel(self, job_id: str, /, *, kept: timedelta, terminate: bool = False) -> None:
        milliseconds = kept // timedelta(milliseconds=1)
        with self._client.pipeline() as pipeline:
            pipeline.set(self._cancelled + job_id, 1, px=milliseconds)
            if terminate:
                pipeline.set(self._terminated + job_id, 1, px=milliseconds)
            self._ask(pipeline.execute)

    def is_asked_to_cancel(self, job_id: str, /) -> bool:
        return bool(self._ask(partial(self._client.exists, self._cancelled + job_id)))

    def asked_to_terminate(self, ids: Sequence[str], /) -> frozenset[str]:
        found: set[str] = set()
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            values: Any = self._ask(partial(self._client.mget, [self._terminated + job_id for job_id in batch]))
            found |= {job_id for job_id, value in zip(batch, values, strict=True) if value is not None}
        return frozenset(found)

    def forget_cancellation(self, job_id: str, /) -> None:
        self._ask(partial(self._client.delete, self._cancelled + job_id, self._terminated + job_id))
