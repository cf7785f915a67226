"""A shop's Django tasks, as they were before TaskBridge."""

import json
import os
from pathlib import Path

from django_tasks import task


def write(**what):
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@task
def receipt(number, *, name):
    write(job="receipt", number=number, name=name)
    return f"receipt {number}"


@task
def report(days):
    write(job="report", days=days)
    raise LookupError("no data")
