"""A shop's tasks under Django's own decorator. Each writes down what it was given."""

import json
import os
from pathlib import Path

import django

if django.VERSION < (6, 0):
    from django_tasks import task
else:
    from django.tasks import task


def write(**what):
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@task
def receipt(number, *, name):
    write(job="receipt", number=number, name=name)
    return f"receipt {number}"


@task(takes_context=True)
def report(context, days):
    write(job="report", days=days, attempt=context.attempt)
    raise ValueError("no data")


@task
async def parcel(weight):
    write(job="parcel", weight=weight)
    return {"weight": weight}


@task
def unserialisable():
    return object()


@task
def nul():
    raise ValueError("PostgreSQL knows no \0")
