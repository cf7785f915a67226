"""What django-tasks-rq itself writes: `python -m tests.wire.record_django_rq` records it for the installed version.

It needs a Django project, so that it runs in a process of its own, in the tests too.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

from redis import Redis

from taskbridge import services
from tests.wire.record_rq import ARGS, GOLDEN, JOB_ID, KWARGS, NOW, dump, plain

PROJECT = Path(__file__).parents[1] / "legacy" / "django_rq"


def write(url: str) -> dict[str, Any]:
    """One job, by django-tasks-rq's own enqueue; all that it leaves in the database."""
    sys.path.insert(0, str(PROJECT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "project"
    os.environ["SHOP_REDIS"] = url
    import django

    django.setup()
    from shop import receipt  # type: ignore[import-not-found]  # of the legacy project

    with (
        patch("rq.job.now", lambda: NOW),
        patch("rq.queue.now", lambda: NOW),
        patch("django_tasks_rq.backend.get_random_id", lambda: JOB_ID),
    ):
        receipt.using(queue_name="mail").enqueue(*ARGS, **KWARGS)
    return dict(plain(dump(Redis.from_url(url))))


def main() -> None:
    if sys.argv[1:]:
        print(json.dumps(write(sys.argv[1])))
        return
    folder = GOLDEN / f"django-tasks-rq-{version('django-tasks-rq')}"
    folder.mkdir(parents=True, exist_ok=True)
    with services.start("redis") as server:
        (folder / "pickle-queued.json").write_text(json.dumps(write(server.url), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
