"""The tables of TaskBridge that lie in the project's own database, as models that Django does not manage."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class OutboxRow(models.Model):
    """A job that waits in the outbox. Where its table is, is what Django's routers say of this model."""

    position = models.BigAutoField(primary_key=True)
    id = models.TextField()
    backend = models.TextField()
    task = models.TextField()
    queue_name = models.TextField()
    ordering_key = models.TextField(null=True)
    message = models.TextField()
    record = models.TextField(null=True)
    written_at = models.BigIntegerField()
    attempts = models.IntegerField(default=0)
    retry_at = models.BigIntegerField(default=0)
    error = models.TextField(null=True)
    dead_at = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "taskbridge_outbox"
        verbose_name = "outbox row"
        default_permissions: ClassVar[tuple[str, ...]] = ()
