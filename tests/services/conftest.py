"""What the tests of servers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskbridge.services import system, url, wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A PATH without anything, Debian's library folders out of sight, an empty cache, no wheel."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(system, "_DEBIAN_POSTGRES", tmp_path)
    monkeypatch.setattr(system, "_RABBITMQ_LIBRARY", tmp_path)
    monkeypatch.setattr(wheel, "find_spec", lambda _name: None)
    for variable in url.VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
