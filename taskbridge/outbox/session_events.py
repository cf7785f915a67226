"""What is called after the commit of a SQLAlchemy session, with savepoints as Django has them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event, util
from sqlalchemy.exc import MissingGreenlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session, SessionTransaction

_KEY: Final = "taskbridge_after_commit"
"""In the session's `info`: its transactions, savepoints included, to what waits for each."""

_await: Final[Any] = getattr(util, "await_", None) or util.await_only
"""SQLAlchemy 2.1 has another name for it."""


def call_after_commit(session: Session, callback: Callable[[], None], /) -> None:
    """Call this after the commit of the outermost transaction, unless it or a savepoint around is rolled back."""
    if _KEY not in session.info:
        session.info[_KEY] = {}
        event.listen(session, "after_commit", _after_commit)
        event.listen(session, "after_soft_rollback", _after_rollback)
    session.info[_KEY].setdefault(_innermost(session), []).append(callback)


def _after_commit(session: Session) -> None:
    # SQLAlchemy tells of the release of a savepoint by the same event.
    transaction = _innermost(session)
    waiting = session.info[_KEY]
    callbacks = waiting.pop(transaction, [])
    if transaction is not None and transaction.nested:
        waiting.setdefault(transaction.parent, []).extend(callbacks)
        return
    for callback in callbacks:
        _call(callback)


def _after_rollback(session: Session, transaction: SessionTransaction) -> None:
    waiting = session.info[_KEY]
    if transaction.parent is None:
        waiting.clear()
    else:
        waiting.pop(transaction, None)


def _innermost(session: Session) -> SessionTransaction | None:
    return session.get_nested_transaction() or session.get_transaction()


def _call(callback: Callable[[], None]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        callback()
        return
    try:
        # The commit of an AsyncSession: the broker does not block the event loop.
        _await(asyncio.to_thread(callback))
    except MissingGreenlet:
        callback()
