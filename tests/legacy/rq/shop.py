"""A shop's jobs, as they were before TaskBridge. Each writes down what it was given, and returns a value."""

import json
import os
from pathlib import Path


def write(**what):
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


def receipt(number, *, name):
    write(job="receipt", number=number, name=name)
    return f"receipt {number}"


def report(days):
    write(job="report", days=days)
    raise ValueError("no data")


def told(job, connection, *rest):
    write(job="callback", of=job.id)
