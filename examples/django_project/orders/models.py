"""Orders."""

from django.db import models


class Order(models.Model):
    """What somebody bought. The receipt is sent by a task."""

    email = models.EmailField()
    total = models.DecimalField(max_digits=8, decimal_places=2)
    receipts_sent = models.PositiveIntegerField(default=0)
    is_archived = models.BooleanField(default=False)
