"""Idempotency keys in this process."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from taskbridge.store.columns import microseconds
from taskbridge.store.key import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class MemoryKeyStore:
    """A `KeyStore` that dies with the process."""

    def __init__(self, *, counted: Callable[[str], int]) -> None:
        """`counted` tells a counter without counting."""
        self._keys: dict[str, tuple[Key, datetime]] = {}
        self._counted = counted
        self._key_lock = threading.Lock()

    def claim_key(self, name: str, /, *, job: str, holder: str, span: timedelta, waits: str) -> Key:
        with self._key_lock:
            now = datetime.now(UTC)
            key, until = self._keys.get(name, (None, now))
            if key is None or until <= now:
                token = max(0 if key is None else key.token + 1, microseconds(now))
                key, until = Key(name=name, job=job, holder=holder, token=token, left=span), now + span
            elif key.done_at is not None:
                key = msgspec.structs.replace(key, skipped=key.skipped + 1)
            self._keys[name] = key, until
            return msgspec.structs.replace(key, left=until - now, waits=self._counted(waits))

    def renew_keys(self, keys: Sequence[Key], /, *, span: timedelta) -> frozenset[str]:
        with self._key_lock:
            held = [found for key in keys if (found := self._key_held(key)) is not None and found.done_at is None]
            for key in held:
                self._keys[key.name] = key, datetime.now(UTC) + span
            return frozenset(key.name for key in held)

    def complete_key(self, key: Key, /, *, kept: timedelta) -> bool:
        with self._key_lock:
            found, now = self._key_held(key), datetime.now(UTC)
            if found is None:
                return False
            self._keys[key.name] = msgspec.structs.replace(found, done_at=found.done_at or now), now + kept
            return True

    def send_completion(self, _key: Key, /, *, kept: timedelta, refused: Callable[[], object]) -> bool:  # noqa: ARG002 - there is no server to send it to
        return False

    def settle(self) -> None:
        """Nothing: no answer is awaited."""

    def release_key(self, key: Key, /) -> bool:
        with self._key_lock:
            found = self._key_held(key)
            if found is None or found.done_at is not None:
                return False
            self._keys[key.name] = found, datetime.now(UTC)
            return True

    def read_key(self, name: str, /) -> Key | None:
        with self._key_lock:
            now = datetime.now(UTC)
            key, until = self._keys.get(name, (None, now))
            return None if key is None or until <= now else msgspec.structs.replace(key, left=until - now, waits=0)

    def forget_key(self, name: str, /) -> bool:
        with self._key_lock:
            now = datetime.now(UTC)
            key, until = self._keys.get(name, (None, now))
            if key is None or key.done_at is None or until <= now:
                return False
            self._keys[name] = key, now
            return True

    def _key_held(self, key: Key) -> Key | None:
        found, _ = self._keys.get(key.name, (None, None))
        return found if found is not None and found.token == key.token else None
