"""Where a job goes at first: to its backend, or into the store until the backend can hold its delay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskbridge.errors import BrokerUnavailable, StoreUnavailable
from taskbridge.portable import portable
from taskbridge.registry import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskbridge.backend import Backend
    from taskbridge.message import Message
    from taskbridge.store import Store


def hand_over(
    messages: Sequence[Message], backend: Backend, alias: str, open_store: Callable[[], Store | None], /
) -> None:
    """Give jobs to their backend; those whose delay is above its ceiling wait in the store, where it has one.

    Raises:
        EnqueueError: as `Backend.enqueue`; also where the store does not answer.
    """
    support = backend.capabilities.run_after
    if support.ceiling is None or support.beyond is None:
        backend.enqueue(messages)
        return
    latest = datetime.now(UTC) + support.ceiling
    late = [message for message in messages if message.run_after is not None and message.run_after > latest]
    if len(late) < len(messages):
        ids = {message.id for message in late}
        backend.enqueue([message for message in messages if message.id not in ids])
    if late:
        _hold(late, alias, open_store())


def _hold(messages: Sequence[Message], alias: str, store: Store | None) -> None:
    assert store is not None, "the record says that there is a store"
    try:
        store.hold(alias, [portable(message) for message in messages])
    except StoreUnavailable as error:
        raise BrokerUnavailable(
            f"The jobs were to wait in the store of {alias!r}, whose backend does not hold so long a delay: {error}",
            maybe_accepted=True,
        ) from error


def restore_native(messages: Iterable[Message], backend: Backend, /) -> None:
    """Give messages that were kept in a store the options for this engine which their tasks declare."""
    tasks = registry.by_wire_name(backend)
    for message in messages:
        task = tasks.get(message.task)
        if task is not None:
            message.native = dict(task.options.native.get(backend.engine, {}))
