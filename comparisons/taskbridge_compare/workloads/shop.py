"""The tasks of a small web shop. They know neither the engine that runs them nor the ledger that watches them."""

from __future__ import annotations

import hashlib
import time

import taskbridge


class WarehouseDown(Exception):
    """The warehouse's service does not answer; it never does, so that retries can be counted."""


@taskbridge.task
def send_receipt(order: int, address: str) -> str:
    """A short task: render and hand over."""
    return f"receipt {order} for {address}"


@taskbridge.task
def resize_photo(seconds: float) -> float:
    """A long task: busy for a while, as one in twenty is."""
    time.sleep(seconds)
    return seconds


@taskbridge.task
def call_warehouse(order: int) -> None:
    """A task that fails each time."""
    raise WarehouseDown(f"no answer about order {order}")


@taskbridge.task
def remind_customer(customer: int) -> int:
    """A task that is due later."""
    return customer


@taskbridge.task
def import_catalogue(payload: str) -> str:
    """A task with a large argument."""
    return hashlib.sha256(payload.encode()).hexdigest()
