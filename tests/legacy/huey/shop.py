"""A shop's tasks, as they were before TaskBridge. Each writes down what it was given, and returns a value."""

import json
import os
import time
from pathlib import Path

from huey import PriorityRedisHuey, RedisHuey, SqliteHuey

if "SHOP_FILE" in os.environ:
    huey = SqliteHuey("default", filename=os.environ["SHOP_FILE"])
elif "SHOP_PRIORITY" in os.environ:
    huey = PriorityRedisHuey("default", url=os.environ["SHOP_REDIS"])
else:
    huey = RedisHuey("default", url=os.environ["SHOP_REDIS"])


def write(**what):
    with Path(os.environ["SHOP_LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(what) + "\n")


@huey.task()
def receipt(number, *, name):
    write(job="receipt", number=number, name=name, at=time.time())
    return f"receipt {number}"


@huey.task()
def parcel(pair, amount, when):
    write(job="parcel", given=repr((pair, amount, when)))


@huey.task(retries=2)
def flaky():
    write(job="flaky")
    raise ValueError("no data")
