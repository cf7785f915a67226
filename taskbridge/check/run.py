"""All checks of one backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from taskbridge.backend import CanCheck, WorkerOptions
from taskbridge.check.finding import Finding, error, note
from taskbridge.check.outbox import outbox_findings
from taskbridge.check.store import store_findings
from taskbridge.check.tasks import schedule_findings, task_findings
from taskbridge.errors import TaskBridgeError
from taskbridge.settings import BackendURL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge.router import Router
    from taskbridge.task import Task

_ORDER = {"error": 0, "warning": 1, "note": 2}


class Checked(Struct, frozen=True, kw_only=True):
    """One backend, and what was found."""

    alias: str
    target: str
    """Its URL, without the password."""
    origin: str
    """Which spelling of the settings set it."""
    tasks: int
    """How many were bound."""
    findings: tuple[Finding, ...]
    """The worst first."""

    @property
    def is_good(self) -> bool:
        """True if there is nothing but notes."""
        return all(finding.severity == "note" for finding in self.findings)


def check_backend(
    alias: str, tasks: Sequence[Task[..., Any, Any]], router: Router, /, *, options: WorkerOptions
) -> Checked:
    """Check one backend and the tasks that go to it. Reads; writes nothing but a message that no queue gets."""
    settings = router.backend_settings(alias)
    own = [task for task in tasks if task.options.backend == alias]
    try:
        found = list(_findings(alias, own, router, options))
    except TaskBridgeError as problem:
        found = [
            error(
                "settings",
                str(problem),
                consequence="The backend cannot be used at all.",
                remedy="The message says what to change.",
            )
        ]
    found.sort(key=lambda finding: _ORDER[finding.severity])
    return Checked(
        alias=alias, target=str(settings.target), origin=settings.origin, tasks=len(own), findings=tuple(found)
    )


def _findings(
    alias: str, tasks: Sequence[Task[..., Any, Any]], router: Router, options: WorkerOptions
) -> Iterator[Finding]:
    target = router.backend_settings(alias).target
    if isinstance(target, BackendURL) and target.options.get("serializer") == "pickle":
        yield note(
            "serializer",
            "pickle is written and read",
            consequence="Whoever can write to the broker runs what they like in the workers.",
            remedy="Take ?serializer=pickle out once no legacy code reads or writes these queues.",
        )
    backend = router.backend(alias)
    if isinstance(backend, CanCheck):
        yield from backend.check(options)
    yield from task_findings(tasks, router, grace=options.grace)
    yield from schedule_findings(alias, router)
    yield from store_findings(alias, router)
    yield from outbox_findings(alias, tasks, router)
