"""The tasks of this application."""

from datetime import timedelta

from django.utils import timezone

from orders.models import Order
from taskbridge import Retry, task


@task(retry=Retry(5, delay=timedelta(seconds=2)), timeout=timedelta(seconds=30))
def send_receipt(order_id: int) -> None:
    """Send the receipt of an order. It may run twice, as any job may, and sends one receipt all the same."""
    order = Order.objects.get(pk=order_id)
    if order.receipt_sent_at is None:
        # ... hand it to the mail server here ...
        order.receipt_sent_at = timezone.now()
        order.save(update_fields=["receipt_sent_at"])
