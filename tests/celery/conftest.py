"""Real Celery workers, and the ledger that their tasks write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kombu.connection import Connection

import taskbridge
from taskbridge.backend import WorkerOptions
from taskbridge.process import Process
from taskbridge.router import router
from taskbridge_celery.redis_transport.transport import LeasedConnection
from tests.celery import application
from tests.celery.consuming import LEASE, Consumer
from tests.shop_ledger import written_lines
from tests.waiting import WAIT, until

if TYPE_CHECKING:
    from taskbridge.services import Server

READY = r"ready\."
START = timedelta(seconds=60)
STOP = timedelta(seconds=45)


class Ledger:
    """What tasks wrote, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in written_lines(self.path) if line["event"] == event]

    def wait(self, event: str, *, count: int = 1, seconds: float = WAIT) -> list[dict[str, Any]]:
        """Wait until `event` was written `count` times."""
        until(lambda: len(self.events(event)) >= count, seconds=seconds, what=f"{count} x {event!r}")
        return self.events(event)

    def open(self, event: str, *, number: int = 1) -> None:
        """Let the `number`-th execution of the task `gated` end."""
        self.path.with_name(f"{event}.{number}").touch()


def start_worker(
    folder: Path,
    *,
    queues: tuple[str, ...] = ("default",),
    concurrency: int = 1,
    native_arguments: tuple[str, ...] = (),
    imports: tuple[str, ...] = (application.__name__,),
) -> Process:
    """A worker of the backend that is configured, ready to work."""
    options = WorkerOptions(
        queues=queues, concurrency=concurrency, grace=STOP, imports=imports, native_arguments=native_arguments
    )
    (command,) = router.backend().worker_commands(options)
    worker = Process(command, log=folder / f"worker-{time.monotonic_ns()}.log")
    try:
        worker.wait_for_line(READY, within=START)
    except BaseException:
        worker.kill_tree()
        raise
    return worker


def log_of(worker: Process) -> str:
    assert worker.log is not None
    return worker.log.read_text()


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv(application.LEDGER, str(tmp_path / "ledger"))
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def database(redis_server: Server) -> str:
    """An empty Redis database, for this test alone."""
    return redis_server.fresh_url()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def consume(stack: ExitStack) -> Callable[..., Consumer]:
    """Makes consumers of the queue `default`, on our transport or on Kombu's own."""

    def consume(url: str, *, stock: bool = False, prefetch: int = 10, **options: Any) -> Consumer:
        kind: Any = Connection if stock else LeasedConnection
        options = {"taskbridge_lease": LEASE, "socket_connect_timeout": 5, **options}
        connection = stack.enter_context(kind(url, transport_options=options))
        return Consumer(connection, prefetch=prefetch)

    return consume


@pytest.fixture(params=["redis", "amqp"])
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of an empty part of a broker, as TaskBridge writes it."""
    kind, option = {"redis": ("redis_server", ""), "amqp": ("rabbitmq_server", "")}[request.param]
    return f"celery+{request.getfixturevalue(kind).fresh_url()}{option}"


@pytest.fixture
def configured(broker: str) -> str:
    """The broker, with TaskBridge configured for it."""
    taskbridge.configure(broker, queues=("default", "other"))
    return broker


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    yield
    router.configure(None)
