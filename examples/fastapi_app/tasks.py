"""The task of this example, and what it carries: typed values arrive typed."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from taskbridge import task


@dataclass(frozen=True)
class Sale:
    """One line of a shop's ledger."""

    day: date
    product: str
    price: Decimal


@task(result=True, timeout=timedelta(minutes=5))
async def summarise(sales: list[Sale]) -> dict[str, Decimal]:
    """The turnover of each product."""
    turnover: dict[str, Decimal] = defaultdict(Decimal)
    for sale in sales:
        turnover[sale.product] += sale.price
        await asyncio.sleep(0)
    return dict(turnover)
