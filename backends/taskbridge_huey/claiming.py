"""Which storages can be claimed from, and how a worker's Huey is made to do so."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from huey.storage import CySqliteStorage, RedisStorage, SqliteStorage

from taskbridge_huey.consumer import ClaimingConsumer
from taskbridge_huey.execution import Execution
from taskbridge_huey.patches import forget_connection_after_fork
from taskbridge_huey.sqlite_claims import SqliteClaims
from taskbridge_huey.worker_storage import WorkerStorage

if TYPE_CHECKING:
    from huey.api import Huey

    from taskbridge.backend import Run
    from taskbridge_huey.claim import Claims


def claims_on(storage: Any, /) -> Claims | None:
    """The claims on a storage; None if its queue is none that TaskBridge knows to claim from."""
    if isinstance(storage, RedisStorage):
        from taskbridge_huey.redis_claims import redis_claims

        return redis_claims(storage)
    has_own_queue = type(storage).dequeue is not SqliteStorage.dequeue if isinstance(storage, SqliteStorage) else True
    return None if has_own_queue or isinstance(storage, CySqliteStorage) else SqliteClaims(storage)


def claim_instead_of_deleting(huey: Huey, queue_name: str, run: Run, /) -> None:
    """In a worker: let `huey`'s consumer claim, where its storage allows that. Nothing is connected yet."""
    claims = claims_on(huey.storage)
    if claims is None:
        return
    if isinstance(huey.storage, SqliteStorage):
        forget_connection_after_fork(huey.storage)
    storage = WorkerStorage(huey.storage)
    huey.storage = storage
    huey.create_consumer = partial(ClaimingConsumer, huey, claims, Execution(huey, storage, queue_name, run))


def own_storage(huey: Huey, /) -> Any:
    """The application's storage, in a worker too."""
    return huey.storage.inner if isinstance(huey.storage, WorkerStorage) else huey.storage
