"""The outbox as a model that Django does not manage: its table is one of `taskbridge/store/schema.py`."""

from __future__ import annotations

from django.db import models


class OutboxRow(models.Model):
    """A job that waits in the outbox. Its table is where Django's routers want this model."""

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
        default_permissions = ()


class Desk(models.Model):
    """No table: what the admin pages and their permissions hang on."""

    class Meta:
        managed = False
        verbose_name = verbose_name_plural = "jobs"
        default_permissions = ("view",)
        permissions = (
            ("redrive", "Can enqueue dead letters again"),
            ("view_arguments", "Can see what jobs were called with, and what they returned"),
        )
