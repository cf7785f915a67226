"""`python without_taskbridge.py enqueue`: enqueue as the shop always did, pickled."""

from datetime import UTC, datetime
from decimal import Decimal

import shop

shop.receipt(42, name="Zoë\ntaskbridge:{")
shop.receipt.schedule((43,), {"name": "later"}, delay=1)
shop.parcel((1, {2}), Decimal("1.50"), datetime(2026, 3, 1, tzinfo=UTC))
shop.flaky()
