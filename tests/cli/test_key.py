"""`taskbridge key`: looked at, and let be done again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import taskbridge
from taskbridge.cli import main
from taskbridge.router import router
from taskbridge.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    taskbridge.configure(f"huey+sqlite:///{tmp_path}/queue.db?store=sqlite:///{tmp_path}/store.db")
    yield tmp_path
    router.configure(None)


def run(*argv: str, code: int) -> str:
    ran = CliRunner().invoke(main, ("key", *argv))
    assert ran.exit_code == code, (ran.output, ran.exception)
    return ran.output


def test_a_key_is_shown_and_forgotten(folder: Path) -> None:
    store = open_store(f"sqlite:///{folder}/store.db")
    minute = timedelta(minutes=1)
    key = store.claim_key("shop.receipt:receipt:1", job="job 1", holder="h", span=minute, waits="none")
    shown = json.loads(run("show", "shop.receipt", "receipt:1", "--json", code=0))
    assert (shown["schema"], shown["state"], shown["job"], shown["fencing_token"]) == (1, "running", "job 1", key.token)
    assert "Nobody has done" in run("forget", "shop.receipt", "receipt:1", code=1)
    assert store.complete_key(key, kept=minute)
    assert "state: done" in run("show", "shop.receipt", "receipt:1", code=0)
    assert "may be done again" in run("forget", "shop.receipt", "receipt:1", code=0)
    run("show", "shop.receipt", "receipt:1", code=1)
    store.close()


def test_a_backend_without_a_store_has_no_keys() -> None:
    taskbridge.configure("celery+amqp://127.0.0.1:1//")
    assert "has no store" in run("show", "shop.receipt", "receipt:1", code=2)
    router.configure(None)
