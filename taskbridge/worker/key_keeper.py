"""Keys of running jobs are renewed by one thread a process, so that a long task keeps what it has claimed.

It also reads what stores said of completed keys, where nobody has waited for that.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.worker.connections import close_stale_connections
from taskbridge.worker.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.store import Key, Store

logger = logging.getLogger("taskbridge.keys")

LEASE: Final = timedelta(seconds=15)
"""How long a key is held after the last sign of life of its holder."""
RENEWED_EVERY: Final = LEASE / 3


class _Keeper:
    """The keys that this process holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: dict[str, tuple[Store, Key]] = {}
        self.unsettled: dict[int, Store] = {}
        self.settling = threading.Lock()
        self.repeats: set[threading.Thread] = set()
        threading.Thread(target=self._run, name="taskbridge-keys", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(RENEWED_EVERY.total_seconds())
            with self.lock:
                held = list(self.held.values())
            for store in {id(store): store for store, _ in held}.values():
                self._renew(store, [key for owner, key in held if owner is store])
            self.settle()
            if held and os.environ.get("DJANGO_SETTINGS_MODULE"):
                close_stale_connections()

    def settle(self) -> None:
        """Read the answers that the stores have not been waited for."""
        with self.settling:
            for number in list(self.unsettled):
                store = self.unsettled.pop(number)
                try:
                    store.settle()
                except Exception:
                    logger.exception("What the store said of completed keys cannot be read.")

    def _renew(self, store: Store, keys: list[Key]) -> None:
        try:
            kept = store.renew_keys(keys, span=LEASE)
        except Exception as error:  # noqa: BLE001 - whatever it is, this thread must go on
            logger.warning("Keys are not renewed, which is tried again: %r", error)
            return
        with self.lock:
            # Meanwhile some may have been completed here, which looks alike.
            lost = [key for key in keys if key.name not in kept and self.held.pop(key.holder, None) is not None]
        for key in lost:
            logger.error("The key %s was lost: its lease had run out, and another execution took it.", key.name)


_the_keeper = PerProcess(_Keeper)


@contextmanager
def kept_alive(store: Store, key: Key, /) -> Iterator[None]:
    """Within the block, the key's lease is renewed."""
    keeper = _the_keeper()
    with keeper.lock:
        keeper.held[key.holder] = store, key
    try:
        yield
    finally:
        with keeper.lock:
            keeper.held.pop(key.holder, None)


def settle_soon(store: Store, /) -> None:
    """A completion was sent to the store: its answer is read within `RENEWED_EVERY`."""
    _the_keeper().unsettled[id(store)] = store


def repeat(work: Callable[[], object], /) -> None:
    """Do in a thread of its own what a store has refused: who has read that has keys to renew, or a job to run."""
    repeats = _the_keeper().repeats

    def run() -> None:
        try:
            work()
        except Exception:
            logger.exception("What the store has refused cannot be repeated.")
        finally:
            repeats.discard(threading.current_thread())

    thread = threading.Thread(target=run, name="taskbridge-key-again")
    try:
        thread.start()
    except RuntimeError:  # the interpreter ends
        run()
        return
    repeats.add(thread)
    if not thread.is_alive():
        repeats.discard(thread)


def settle_keys() -> None:
    """At the end of a process: no completion of a key is left that the store is not known to have."""
    keeper = _the_keeper.made()
    if keeper is not None:
        keeper.settle()
        for thread in list(keeper.repeats):
            thread.join()
