"""A shop's tasks under Django's own decorator. Each writes down what it was given."""

import json
import os
import signal
import time
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
def kills():
    write(job="kills")
    os.kill(os.getpid(), signal.SIGKILL)


@task
def holds(path):
    write(job="holds")
    end = time.monotonic() + 40
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.02)


@task
def nul():
    raise ValueError("PostgreSQL knows no \0")
