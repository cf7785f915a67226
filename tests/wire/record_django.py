"""What django-tasks-db itself writes: `python -m tests.wire.record_django` records it for the installed version.

The row is kept as SQLite holds it, column by column.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
JOB_ID = "0199c0de-0000-7000-8000-000000000001"
RUN_AFTER = datetime(2030, 3, 1, 13, 0, 0, tzinfo=UTC)
HEADERS = '{"enqueued_at":"2026-03-01T12:30:15.250000Z","metadata":{"tenant":"zürich"}}'
ARGS: list[Any] = [42, "Zoë", None, {"items": [1, 2.5, True]}]
KWARGS: dict[str, Any] = {"note": "a\u2028b", "when": "2026-03-01T12:00:00Z"}
PRIORITY = 30

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "delayed": {"run_after": RUN_AFTER, "priority": PRIORITY, "queue_name": "mail"},
}


def record() -> dict[str, dict[str, Any]]:
    """One row a case, by Django's own calls. Runs in a process whose database is empty."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    shop = importlib.import_module("shop")
    rows = {}
    for name, options in CASES.items():
        (shop.receipt.using(**options) if options else shop.receipt).enqueue(*ARGS, **KWARGS)
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM django_tasks_database_dbtaskresult")
            columns = [column[0] for column in cursor.description]
            rows[name] = dict(zip(columns, cursor.fetchone(), strict=True))
            cursor.execute("DELETE FROM django_tasks_database_dbtaskresult")
    return rows


def recorded_now() -> dict[str, dict[str, Any]]:
    """The same, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "DJANGO_SETTINGS_MODULE": "settings",
            "TEST_DATABASE": f"sqlite:///{folder}/database.sqlite3",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "legacy" / "django"))),
        }
        code = "import json; from tests.wire.record_django import record; print(json.dumps(record(), default=str))"
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )
    found: dict[str, dict[str, Any]] = json.loads(ran.stdout)
    return found


def load(name: str) -> dict[str, Any]:
    """A recorded row."""
    (folder,) = GOLDEN.glob("django-tasks-db-*")
    row: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return row


if __name__ == "__main__":
    folder = GOLDEN / f"django-tasks-db-{version('django-tasks-db')}"
    folder.mkdir(parents=True, exist_ok=True)
    for case, columns in recorded_now().items():
        (folder / f"{case}.json").write_text(json.dumps(columns, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
