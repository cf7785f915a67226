"""The tasks of this application, under Django's own decorator; one runs by the clock."""

from datetime import timedelta

import django
from django.db.models import F

import taskbridge
from orders.models import Order
from taskbridge.django import options

if django.VERSION < (6, 0):
    from django_tasks import task
else:
    from django.tasks import task


@task
@options(
    timing="outbox",
    delivery="effectively_once",
    key="{order_id}",
    retry=taskbridge.Retry(5, delay=timedelta(seconds=2), on=(OSError,)),
    timeout=timedelta(seconds=30),
)
def send_receipt(order_id: int) -> str:
    """Send the receipt of an order. Its job is a row of the transaction that made the order, and is done once."""
    # ... hand it to the mail server here ...
    Order.objects.filter(pk=order_id).update(receipts_sent=F("receipts_sent") + 1)
    return f"receipt of order {order_id}"


@taskbridge.periodic(cron="0 3 * * *", zone="Europe/Berlin", name="archive")
@task
def archive() -> None:
    """Every night, put away the orders that have their receipt."""
    Order.objects.filter(receipts_sent__gt=0).update(is_archived=True)
