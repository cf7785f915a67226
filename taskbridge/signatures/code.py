"""Which tasks, with which signatures, the code of this process has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge.signatures.fingerprint import LENGTH, fingerprint_of

if TYPE_CHECKING:
    from taskbridge.registry import Registry


def code_fingerprint(registry: Registry, /) -> str:
    """One text for all signatures: alike in processes of one version, and another in one that knows other tasks."""
    from hashlib import sha256

    lines = sorted(f"{task.name} {fingerprint_of(task)}" for task in registry)
    return sha256("\n".join(lines).encode()).hexdigest()[:LENGTH]
