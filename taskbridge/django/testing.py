"""A test case for projects whose views and models enqueue jobs."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.test import TestCase

from taskbridge.outbox import Relay, open_outbox
from taskbridge.outbox.databases import urls
from taskbridge.router import router
from taskbridge.settings import BackendSettings, BackendURL, Settings
from taskbridge.testing import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from taskbridge.message import Message

KEPT = ("timing", "size_limit", "result_ttl", "crash_budget")
"""Options of a backend's URL that hold in a test too."""


class JobTestCase(TestCase):
    """Jobs wait in this process, in their JSON form, and run when `run_all` is called.

    Each test is a transaction that is rolled back, so that nothing in it is ever committed: what is enqueued with the
    timing `on_commit` waits for `committing`, as with `captureOnCommitCallbacks`, and a block whose own savepoint is
    rolled back leaves no job. A row in the outbox is handed on by `run_all`.
    """

    def setUp(self) -> None:
        """Put every backend of the settings out of reach for this test."""
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="taskbridge-test-")
        self.addCleanup(folder.cleanup)
        configured, known = router.configured, router.settings
        self.addCleanup(router.configure, configured)
        store = f"sqlite:///{Path(folder.name) / 'store.db'}"
        self._aliases = tuple(known.backends)
        router.configure(
            Settings(
                backends={alias: _in_memory(each, store) for alias, each in known.backends.items()},
                queues=known.queues,
                outbox=known.outbox,
            )
        )

    @property
    def jobs(self) -> list[Message]:
        """What waits on all backends, in the order in which it would run if all were due."""
        return [message for memory in self._memories() for message in memory.jobs]

    @contextmanager
    def committing(self) -> Iterator[None]:
        """At the end of the block, do what waits for the commit of what was done in it."""
        with self.captureOnCommitCallbacks(execute=True):
            yield

    def run_all(self, *, until: datetime | None = None) -> int:
        """Hand on what lies in the outbox, and run every job that is due, with what they enqueue.

        Gives how many attempts that took. `until` treats jobs as due that are to run by then.
        """
        total = 0
        while True:
            for url in urls(router.settings):
                _relay(url)
            count = sum(memory.run_all(until=until) for memory in self._memories())
            if not count:
                return total
            total += count

    def _memories(self) -> list[MemoryBackend]:
        backends: list[Any] = [router.backend(alias) for alias in self._aliases]
        return [backend for backend in backends if isinstance(backend, MemoryBackend)]


def _in_memory(settings: BackendSettings, store: str) -> BackendSettings:
    options = {"store": store}
    if isinstance(settings.target, BackendURL):
        options |= {key: value for key, value in settings.target.options.items() if key in KEPT}
    url = BackendURL(engine="memory", broker="", options=options)
    return BackendSettings(target=url, queues=settings.queues, any_queue=settings.any_queue, origin="JobTestCase")


def _relay(url: str) -> None:
    # Nothing is closed: it is the connection of the test, in its transaction.
    table = open_outbox(url)
    if table.exists():
        Relay(table).beat()
