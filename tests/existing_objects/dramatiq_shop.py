"""A shop that has a Dramatiq broker."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

import taskbridge
from taskbridge_dramatiq import DramatiqBackend
from tests.existing_objects.tasks import note

broker = RedisBroker(url=os.environ["SHOP_REDIS"])  # type: ignore[no-untyped-call]  # it has no annotations
dramatiq.set_broker(broker)


@dramatiq.actor
def own(text: str) -> None:
    note(text)


def send_own(text: str) -> None:
    own.send(text)


taskbridge.configure(backends={"default": DramatiqBackend(broker=broker)})
