"""A shop that has a Huey instance, in a file."""

from __future__ import annotations

import os

from huey import SqliteHuey

import taskbridge
from taskbridge_huey import HueyBackend
from tests.existing_objects.tasks import note

huey = SqliteHuey("shop", filename=os.environ["SHOP_FILE"])


@huey.task()  # type: ignore[untyped-decorator]  # Huey has no types
def own(text: str) -> None:
    note(text)


def send_own(text: str) -> None:
    own(text)


taskbridge.configure(backends={"default": {"url": HueyBackend(huey=huey), "queues": ["shop"]}})
