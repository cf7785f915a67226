"""`python without_taskbridge.py enqueue`: enqueue as the shop always did, and wait for what comes of it."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import shop

now = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
receipt = shop.receipt.apply_async((42, Decimal("1.50"), now), {"customer": UUID(int=7), "raw": b"\xff"})
flaky = shop.flaky.apply_async(("legacy",), link=shop.tell.s())
print("values", receipt.get(timeout=30), flaky.get(timeout=30))
