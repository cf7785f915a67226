"""A task that uses Django's database, beside a connection that is opened before the pool's processes are forked."""

from __future__ import annotations

from typing import Any

from django.db import connection

import taskbridge
from tests.celery.application import note

connection.ensure_connection()
OPENED: Any = connection.connection


@taskbridge.task(name="ask")
def ask(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 6 * 7")
        note(text, answer=cursor.fetchone()[0], inherited=connection.connection is OPENED)
