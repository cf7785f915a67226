"""What the broker has refused is found by an index."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from taskbridge.django.tables import Tables


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("taskbridge", "0001_initial")]
    operations: ClassVar[list[object]] = [Tables(application_step=2)]
