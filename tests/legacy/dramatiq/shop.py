"""A shop's actors, as they were before TaskBridge. Each writes down what it was given."""

import json
import os
from pathlib import Path

import dramatiq

url = os.environ["SHOP_BROKER"]
if url.startswith("amqp"):
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    dramatiq.set_broker(RabbitmqBroker(url=url))
else:
    from dramatiq.brokers.redis import RedisBroker

    dramatiq.set_broker(RedisBroker(url=url))


def write(**what):
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@dramatiq.actor
def receipt(number, *, name):
    write(event="receipt", number=number, name=name)
    return f"receipt {number}"


@dramatiq.actor(max_retries=5, min_backoff=10, max_backoff=20)
def report(days):
    write(event="report", days=days)
    raise ValueError("no data")


@dramatiq.actor(min_backoff=10, max_backoff=20)
def audit(days):
    write(event="audit", days=days)
    raise ValueError("no data")
