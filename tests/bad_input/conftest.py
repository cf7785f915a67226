"""Tasks that these tests declare are forgotten after each."""

from __future__ import annotations

import pytest

from taskbridge.registry import registry


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
