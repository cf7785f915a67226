"""Place an order, look at it."""

import json

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from orders.models import Order
from orders.tasks import send_receipt


@csrf_exempt
@require_POST
@transaction.atomic
def place(request: HttpRequest) -> JsonResponse:
    """Create an order and its job, or neither."""
    fields = json.loads(request.body)
    order = Order.objects.create(email=fields["email"], total=fields["total"])
    job = send_receipt.enqueue(order.pk)
    return JsonResponse({"order": order.pk, "job": job.id}, status=201)


def show(request: HttpRequest, order_id: int) -> JsonResponse:
    """Say how often the receipt was sent, and whether the order is put away."""
    order = get_object_or_404(Order, pk=order_id)
    return JsonResponse({"order": order.pk, "receipts_sent": order.receipts_sent, "is_archived": order.is_archived})
