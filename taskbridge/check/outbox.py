"""The outboxes of the application's databases: does somebody hand on what waits, and what was given up?"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from taskbridge.check.finding import Finding, error, note, warning
from taskbridge.outbox.on_django import has_application
from taskbridge.store import schema
from taskbridge.store.columns import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge.outbox.table import Count
    from taskbridge.router import Router
    from taskbridge.task import Task

OVERDUE = timedelta(minutes=1)
"""A relay looks every second, and another takes its place within ten."""
_REMEDY = "Run manage.py migrate with 'taskbridge.django' in INSTALLED_APPS, or: taskbridge outbox create."


def outbox_findings(alias: str, tasks: Sequence[Task[..., Any, Any]], router: Router, /) -> Iterator[Finding]:
    """Reachability, the tables, and the rows of this backend; with the first backend also rows for unknown ones."""
    from taskbridge.outbox.databases import open_outbox, shown, urls

    settings = router.settings
    is_used = router.backend_settings(alias).timing == "outbox" or any(
        task.options.timing == "outbox" for task in tasks
    )
    databases = urls(settings)
    if is_used and not databases:
        yield error(
            "outbox",
            "the settings name no database whose outbox is handed on",
            consequence="Jobs with the timing `outbox` stay in the database of their callers.",
            remedy="Name it where workers run: outbox = ['postgresql://...'], or TASKBRIDGE_OUTBOX.",
        )
    is_first = alias == next(iter(settings.backends))
    for url in databases:
        about = f"outbox in {shown(url)}"
        try:
            with closing(open_outbox(url)) as table:
                version = table.version()
                counts = table.counts() if version else []
        except Exception as problem:  # noqa: BLE001 - each driver has errors of its own
            yield error(
                about,
                f"it does not answer: {problem}",
                consequence="What was written there is not handed to the broker.",
                remedy="Start the database, or correct the setting `outbox`.",
            )
            continue
        yield from _of_tables(about, version, is_wanted=is_used or bool(settings.outbox))
        for count in counts:
            if count.backend == alias:
                yield from _of_rows(about, count)
            elif is_first and count.waiting and count.backend not in settings.backends:
                yield warning(
                    about,
                    f"{count.waiting} jobs wait for a backend {count.backend!r}, which is not set",
                    consequence="They are not handed on.",
                    remedy="Set the backend again, or delete its rows.",
                )


def _of_tables(about: str, version: int, *, is_wanted: bool) -> Iterator[Finding]:
    newest = len(schema.APPLICATION_STEPS)
    if not version and (is_wanted or has_application()):
        # Under Django each project has the place for an outbox, wanted or not.
        yield (error if is_wanted else note)(
            about,
            "there are no tables",
            consequence="Enqueuing with timing=outbox is refused, and so is once().",
            remedy=_REMEDY,
        )
    elif 0 < version < newest:
        yield warning(
            about,
            f"the tables are of step {version}, and the code of step {newest}",
            consequence="What the code asks of them may be slow, or fail.",
            remedy=_REMEDY,
        )


def _of_rows(about: str, count: Count) -> Iterator[Finding]:
    if count.dead:
        yield warning(
            about,
            f"{count.dead} jobs were given up, refused by the broker for an hour or unreadable",
            consequence="They do not run; a result of one is FAILED, with the reason.",
            remedy="Read the reasons: taskbridge outbox status. Then: taskbridge outbox retry.",
        )
    if count.oldest is not None and (waited := datetime.now(UTC) - moment(count.oldest)) > OVERDUE:
        yield warning(
            about,
            f"a job has waited there for {waited.total_seconds():.0f} s",
            consequence="It does not run: no relay hands it on, or its broker does not take it.",
            remedy="Run `taskbridge worker` without --no-scheduler, or `taskbridge scheduler`, and read its log.",
        )
