"""A shop on an empty Redis database: its ledger, and the programs that it starts."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from redis import Redis

from taskbridge.process import Process
from tests.shop_ledger import ShopLedger

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskbridge.process import Command

LEGACY: Final = Path(__file__).parents[1] / "legacy"
PATIENCE: Final = timedelta(seconds=40)


class LedgerShop(ShopLedger):
    """What the tests of RQ and of Django tasks on RQ have in common."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.redis = Redis.from_url(url)
        self.folder = folder
        self.ledger = folder / "ledger"
        self._closing = ExitStack()

    def start(self, command: Command) -> Process:
        """Run a program that can write to the ledger."""
        environment = {**command.environment, "SHOP_LEDGER": str(self.ledger), "SHOP_REDIS": self.url}
        log = self.folder / f"log-{len(list(self.folder.iterdir()))}"
        process = Process(replace(command, environment=environment), log=log)
        self._closing.callback(process.kill_tree)
        return process

    def until(self, holds: Callable[[], object], worker: Process) -> None:
        """Wait until something holds while the worker runs."""
        worker.wait_until(lambda: bool(holds()), within=PATIENCE, what="seen to do it")

    def count(self, registry: str) -> int:
        """How many jobs of the queue `default` RQ has in a registry: finished, failed, scheduled, wip, deferred."""
        return int(self.redis.zcard(f"rq:{registry}:default"))

    def close(self) -> None:
        self._closing.close()
        self.redis.close()
