"""The shop's tasks after their move to TaskBridge, under the names that legacy code uses."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import taskbridge


def write(**what: Any) -> None:
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@taskbridge.task(native={"celery": {"name": "shop.receipt"}}, queue_name="celery")
def receipt(number: int, price: Decimal, at: datetime, customer: UUID, raw: bytes) -> str:
    kinds = [type(value).__name__ for value in (number, price, at, customer, raw)]
    write(job="receipt", by="taskbridge", number=number, kinds=kinds)
    return f"{number}: {price}"


@taskbridge.task(
    native={"celery": {"name": "shop.flaky"}},
    queue_name="celery",
    retry=taskbridge.Retry(3, delay=timedelta(0), on=(Exception,)),
    takes_context=True,
)
def flaky(context: taskbridge.Context, text: str) -> int:
    write(job="flaky", by="taskbridge", text=text, attempt=context.attempt)
    if context.attempt < 3:
        raise ValueError(text)
    return context.attempt


@taskbridge.task(queue_name="celery", native={"celery": {"name": "shop.tell"}})
def tell(value: Any) -> None:
    write(job="tell", by="taskbridge", value=value)
