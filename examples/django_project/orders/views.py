"""Place an order, look at it."""

import json
from functools import partial

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
    """Create an order. Its job is enqueued when the order is committed, so that no worker looks for it too early."""
    fields = json.loads(request.body)
    order = Order.objects.create(email=fields["email"], total=fields["total"])
    transaction.on_commit(partial(send_receipt.enqueue, order.pk))
    return JsonResponse({"order": order.pk}, status=201)


def show(request: HttpRequest, order_id: int) -> JsonResponse:
    """Say whether the receipt is sent."""
    order = get_object_or_404(Order, pk=order_id)
    return JsonResponse({"order": order.pk, "receipt_sent": order.receipt_sent_at is not None})
