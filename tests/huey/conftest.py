"""A shop on an empty storage: its ledger, its legacy programs, and workers of both kinds."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from huey.storage import SqliteStorage

import taskbridge
from taskbridge.backend import WorkerOptions
from taskbridge.process import Command, Process
from taskbridge.router import router
from taskbridge.store import Selection
from taskbridge_huey import HueyBackend
from taskbridge_huey.claim import CRASH_MARK
from tests.shop_ledger import ShopLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from taskbridge.services import Server
    from taskbridge.store import DeadLetter

LEGACY = Path(__file__).parents[1] / "legacy"
PATIENCE = timedelta(seconds=40)


class Shop(ShopLedger):
    """One application, on one storage."""

    def __init__(self, url: str, environment: Mapping[str, str], folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.ledger = folder / "ledger"
        self.environment = {**environment, "SHOP_LEDGER": str(self.ledger)}
        self._closing = ExitStack()

    def configure(self, query: str = "", *, queues: tuple[str, ...] = ("default",)) -> HueyBackend:
        """Make this storage TaskBridge's default backend."""
        separator = "&" if "?" in self.url else "?"
        url = f"{self.url}{separator}{query}" if query else self.url
        taskbridge.configure(url, queues=queues, imports=["tests.huey.tasks"])
        backend = router.backend()
        assert isinstance(backend, HueyBackend)
        return backend

    def configured(self) -> HueyBackend:
        """The backend that is configured."""
        backend = router.backend()
        assert isinstance(backend, HueyBackend)
        return backend

    def claimed(self) -> int:
        """How many jobs workers hold."""
        storage = self.configured().instance("default").storage
        if isinstance(storage, SqliteStorage):
            return int(storage.sql("select count(*) from taskbridge_claim", results=True)[0][0])
        return len(list(storage.conn.scan_iter("huey.claimed.*")))

    def letters(self) -> list[DeadLetter]:
        """What is buried in the backend's own store, oldest first."""
        store = router.store("default")
        assert store is not None
        return list(store.letters(Selection()))

    def crash_marks(self) -> int:
        """How many waiting jobs say that a worker died over them."""
        return sum(CRASH_MARK in item for item in self.configured().instance("default").storage.enqueued_items())

    def worker(
        self, queue_name: str = "default", *, grace: timedelta = timedelta(seconds=30), planted: tuple[str, ...] = ()
    ) -> Process:
        """A worker that TaskBridge runs, for the backend that is configured; with bugs planted in it on request."""
        options = WorkerOptions(imports=("tests.huey.tasks", *planted), queues=(queue_name,), grace=grace)
        (command,) = router.backend().worker_commands(options)
        return self._start(command)

    def legacy(self, *arguments: str) -> Process:
        """A program of the shop, where TaskBridge cannot be imported."""
        argv = (sys.executable, str(LEGACY / "without_taskbridge.py"), *arguments)
        return self._start(Command(argv=argv, directory=LEGACY / "huey", stop_signal=signal.SIGINT))

    def consumer(self) -> Process:
        """The consumer that the shop always had."""
        return self.legacy("huey.bin.huey_consumer", "shop.huey", "-k", "process", "-m", "0.1")

    def _start(self, command: Command) -> Process:
        command = Command(
            argv=command.argv,
            environment={**command.environment, **self.environment},
            directory=command.directory,
            stop_signal=command.stop_signal,
            label=command.label,
        )
        log = self.folder / f"log-{len(list(self.folder.iterdir()))}"
        process = Process(command, log=log)
        self._closing.callback(process.kill_tree)
        return process

    def until(self, holds: Callable[[], object], worker: Process) -> None:
        """Wait until something holds while the worker runs."""
        worker.wait_until(lambda: bool(holds()), within=PATIENCE, what="seen to do it")

    def close(self) -> None:
        self._closing.close()


@pytest.fixture(params=["sqlite", "redis", "redis with priority"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A shop on an empty storage of each kind."""
    configured = router.configured
    if request.param == "sqlite":
        file = str(tmp_path / "queue.db")
        shop = Shop(f"huey+sqlite:///{file}", {"SHOP_FILE": file}, tmp_path)
    else:
        server: Server = request.getfixturevalue("redis_server")
        url = server.fresh_url()
        has_priority = "priority" in request.param
        extra = {"SHOP_PRIORITY": "yes"} if has_priority else {}
        query = "?priority=yes" if has_priority else ""
        shop = Shop(f"huey+{url}{query}", {"SHOP_REDIS": url, **extra}, tmp_path)
    try:
        yield shop
    finally:
        shop.close()
        router.configure(configured)
