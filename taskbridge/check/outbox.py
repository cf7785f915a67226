"""The outboxes of the application's databases: does somebody hand on what waits, and what was given up?"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskbridge.check.finding import Finding, error, warning
from taskbridge.check.store import OVERDUE
from taskbridge.store.columns import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.outbox.table import Count
    from taskbridge.router import Router


def outbox_findings(alias: str, router: Router, /) -> Iterator[Finding]:
    """Reachability, and the rows of this backend."""
    from taskbridge.outbox.databases import open_outbox, shown, urls

    for url in urls(router.settings):
        about = f"outbox in {shown(url)}"
        try:
            with closing(open_outbox(url)) as table:
                counts = table.counts() if table.exists() else None
        except Exception as problem:  # noqa: BLE001 - each driver has errors of its own
            yield error(
                about,
                f"it does not answer: {problem}",
                consequence="What was written there is not handed to the broker.",
                remedy="Start the database, or correct the setting `outbox`.",
            )
            continue
        if counts is None and router.settings.outbox:  # a Django project may have none, and has not asked for one
            yield error(
                about,
                "there are no tables",
                consequence="Enqueuing with timing=outbox is refused.",
                remedy="Run: taskbridge outbox create, or manage.py migrate.",
            )
        for count in counts or ():
            if count.backend == alias:
                yield from _findings(about, count)


def _findings(about: str, count: Count) -> Iterator[Finding]:
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
