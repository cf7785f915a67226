"""`python without_taskbridge.py enqueue json|pickle`: enqueue as the shop always did, with all that RQ offers."""

import os
import sys

import shop
from redis import Redis
from rq import Callback, Queue

queue = Queue(connection=Redis.from_url(os.environ["SHOP_REDIS"]), serializer=sys.argv[1])
job = queue.enqueue(shop.receipt, 42, name="Zoë", on_success=Callback(shop.told))
queue.enqueue(shop.report, 7, on_failure=Callback(shop.told))
queue.enqueue(shop.receipt, 43, name="after", depends_on=job)
