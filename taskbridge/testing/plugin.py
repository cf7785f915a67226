"""The pytest plugin: a fixture for an application's own tests, and the options of the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.testing.memory import MemoryBackend


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `pytest --pyargs taskbridge.testing.suite`."""
    group = parser.getgroup("taskbridge", "TaskBridge's conformance suite")
    group.addoption("--backend", metavar="URL", help="The backend that the conformance suite is held against.")
    group.addoption(
        "--bulk",
        metavar="JOBS",
        type=int,
        default=1000,
        help="How many jobs the suite enqueues in one call; fewer for an engine that starts a process for each. "
        "Default: 1000.",
    )
    group.addoption(
        "--flip",
        metavar="OPTION=LEVEL",
        help="Tell the suite a wrong record: it must go red. For testing the suite itself.",
    )


@pytest.fixture
def taskbridge_memory() -> Iterator[MemoryBackend]:
    """All backends of the settings replaced by one that keeps jobs in this process, in their JSON form.

    `jobs` shows what waits, `run_all()` runs it, `is_immediate = True` runs each job within its enqueue, and
    `delivers_twice = True` delivers every job twice.
    """
    from taskbridge.router import router
    from taskbridge.settings import BackendSettings, Settings
    from taskbridge.testing.memory import MemoryBackend

    known = router.settings
    memory = MemoryBackend()
    replaced = {
        alias: BackendSettings(target=memory, queues=settings.queues, origin="the fixture taskbridge_memory")
        for alias, settings in known.backends.items()
    }
    configured = router.configured
    router.configure(Settings(backends=replaced, queues=known.queues))
    try:
        yield memory
    finally:
        router.configure(configured)
