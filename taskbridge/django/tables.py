"""A migration's operation: the numbered steps of TaskBridge's own list of tables, in one of the project's databases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django.db import router
from django.db.migrations.operations.base import Operation

from taskbridge.store import schema
from taskbridge.store.dialect import POSTGRESQL, SQLITE

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIALECTS: Final = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
_MODEL: Final = "outboxrow"
"""Where Django's routers want this model, the tables are."""


class Tables(Operation):
    """Bring the tables up to a step: outbox and inbox, and those of a store that is in the same database.

    A database of another kind than SQLite and PostgreSQL is left alone: it can hold neither.
    """

    reversible = True

    def __init__(self, *, application_step: int) -> None:
        self.application_step = application_step

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing: the models are not managed."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:  # noqa: ARG002 - Django's signature
        """Run the steps that are missing; nothing where they have been run by the command line or by a store."""
        if (dialect := _dialect(app_label, schema_editor)) is None:
            return
        with schema_editor.connection.cursor() as cursor:
            steps = schema.APPLICATION_STEPS[: self.application_step]
            schema.upgrade(cursor, dialect, steps=steps, table=schema.APPLICATION_VERSIONS)
            schema.upgrade(cursor, dialect)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:  # noqa: ARG002 - as above
        """Below the first step drop the tables, with all that is in them. Later steps stay: older code can use them."""
        if self.application_step > 1 or _dialect(app_label, schema_editor) is None:
            return
        with schema_editor.connection.cursor() as cursor:
            for table in _ours(schema_editor.connection.introspection.table_names(cursor)):
                cursor.execute(f"DROP TABLE {table}")

    def describe(self) -> str:
        return "Create the tables of TaskBridge, or bring them up to date"


def _dialect(app_label: str, schema_editor: Any) -> Any:
    connection = schema_editor.connection
    if not router.allow_migrate(connection.alias, app_label, model_name=_MODEL):
        return None
    found = _DIALECTS.get(connection.vendor)
    return found and found.through_django()


def _ours(tables: Iterable[str]) -> list[str]:
    steps = (*schema.STEPS, *schema.APPLICATION_STEPS)
    created = re.findall(r"CREATE TABLE (\w+)", " ".join(statement for step in steps for statement in step))
    return [table for table in tables if table in (*created, schema.VERSIONS, schema.APPLICATION_VERSIONS)]
