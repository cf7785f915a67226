"""A shop on Celery, as it was before TaskBridge. Each task writes down what it was given, and returns a value."""

import json
import os
from pathlib import Path

from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_RESULTS"])
app.conf.task_default_queue = "celery"


def write(**what):
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@app.task(name="shop.receipt")
def receipt(number, price, at, customer, raw):
    kinds = [type(value).__name__ for value in (number, price, at, customer, raw)]
    write(job="receipt", by="legacy", number=number, kinds=kinds)
    return f"{number}: {price}"


@app.task(name="shop.flaky", bind=True, max_retries=3, default_retry_delay=0)
def flaky(self, text):
    write(job="flaky", by="legacy", text=text, attempt=self.request.retries + 1)
    if self.request.retries < 2:
        raise self.retry(exc=ValueError(text))
    return self.request.retries + 1


@app.task(name="shop.tell")
def tell(value):
    write(job="tell", by="legacy", value=value)
