"""One real worker for the tests of a module, and the ledger that its tasks write."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskbridge.backend import WorkerOptions
from taskbridge.process import Process
from taskbridge.router import router
from tests.shop_ledger import written_lines

APPLICATION = "tests.dramatiq.application"
START = timedelta(seconds=60)
READY = r"Worker process is ready for action"


class Ledger:
    """What the tasks of a test module wrote, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)

    def all(self) -> list[dict[str, Any]]:
        return written_lines(self.path)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.all() if line["event"] == event]

    def wait(self, event: str, *, count: int = 1, seconds: float = 45) -> list[dict[str, Any]]:
        """Wait until `event` was written `count` times."""
        deadline = time.monotonic() + seconds
        while len(found := self.events(event)) < count:
            assert time.monotonic() < deadline, f"{event!r} came {len(found)} of {count} times in {seconds} s"
            time.sleep(0.01)
        return found


def wait_for(condition: Callable[[], object], *, seconds: float = 45) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.01)


def start_worker(
    folder: Path,
    *,
    native_arguments: tuple[str, ...] = (),
    concurrency: int = 2,
    imports: tuple[str, ...] = (APPLICATION,),
    environment: Mapping[str, str] | None = None,
    alias: str = "default",
    is_awaited: bool = True,
    grace: timedelta = timedelta(seconds=10),
) -> Process:
    """A worker of the backend that is configured, ready to work unless that is not awaited."""
    options = WorkerOptions(
        alias=alias,
        queues=router.backend_settings(alias).queues,
        concurrency=concurrency,
        grace=grace,
        imports=imports,
        native_arguments=native_arguments,
    )
    (command,) = router.backend(alias).worker_commands(options)
    if environment:
        command = type(command)(argv=command.argv, environment={**command.environment, **environment})
    worker = Process(command, log=folder / f"worker-{time.monotonic_ns()}.log")
    try:
        if is_awaited:
            worker.wait_for_line(READY, within=START)
    except BaseException:
        worker.kill_tree()
        raise
    return worker


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    path = tmp_path_factory.mktemp("dramatiq") / "ledger"
    os.environ["TASKBRIDGE_TEST_LEDGER"] = str(path)
    yield Ledger(path)
    del os.environ["TASKBRIDGE_TEST_LEDGER"]


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    configured = router.configured
    yield
    router.configure(configured)
