"""A shop that has an RQ connection."""

from __future__ import annotations

import os

from redis import Redis
from rq import Queue

import taskbridge
from taskbridge_rq import RQBackend
from tests.existing_objects.tasks import note

connection = Redis.from_url(os.environ["SHOP_REDIS"])


@taskbridge.task
def own(text: str) -> None:
    note(text)


def send_own(text: str) -> None:
    Queue(connection=connection).enqueue("tests.existing_objects.rq_shop.own", text)


taskbridge.configure(backends={"default": RQBackend(connection=connection, serializer="pickle")})
