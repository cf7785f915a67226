"""Cancellations in Redis, which itself forgets them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from taskbridge.store.redis_keys import RedisKeys

if TYPE_CHECKING:
    from redis import Redis


class RedisCancellationStore(RedisKeys):
    """A `CancellationStore` in keys named `PREFIX:cancelled:ID`."""

    def __init__(self, client: Redis, *, prefix: str = "taskbridge") -> None:
        super().__init__(client, prefix=prefix)
        self._cancelled = f"{prefix}:cancelled:"

    def ask_to_cancel(self, job_id: str, /, *, kept: timedelta) -> None:
        milliseconds = kept // timedelta(milliseconds=1)
        self._ask(partial(self._client.set, self._cancelled + job_id, 1, px=milliseconds))

    def is_asked_to_cancel(self, job_id: str, /) -> bool:
        return bool(self._ask(partial(self._client.exists, self._cancelled + job_id)))

    def forget_cancellation(self, job_id: str, /) -> None:
        self._ask(partial(self._client.delete, self._cancelled + job_id))
