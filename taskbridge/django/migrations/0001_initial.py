"""The tables of outbox and store, and the permissions of the admin pages."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from taskbridge.django.tables import Tables


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[object]] = [
        Tables(application_step=1),
        migrations.CreateModel(
            name="Desk",
            fields=[("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False))],
            options={
                "managed": False,
                "verbose_name": "jobs",
                "verbose_name_plural": "jobs",
                "default_permissions": ("view",),
                "permissions": (
                    ("redrive", "Can enqueue dead letters again"),
                    ("view_arguments", "Can see what jobs were called with, and what they returned"),
                ),
            },
        ),
        migrations.CreateModel(
            name="OutboxRow",
            fields=[
                ("position", models.BigAutoField(primary_key=True, serialize=False)),
                ("id", models.TextField()),
                ("backend", models.TextField()),
                ("task", models.TextField()),
                ("queue_name", models.TextField()),
                ("ordering_key", models.TextField(null=True)),
                ("message", models.TextField()),
                ("record", models.TextField(null=True)),
                ("written_at", models.BigIntegerField()),
                ("attempts", models.IntegerField(default=0)),
                ("retry_at", models.BigIntegerField(default=0)),
                ("error", models.TextField(null=True)),
                ("dead_at", models.BigIntegerField(null=True)),
            ],
            options={"managed": False, "db_table": "taskbridge_outbox", "default_permissions": ()},
        ),
    ]
