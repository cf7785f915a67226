"""A shop that has a Huey instance of its own, with a task that TaskBridge does not know."""

from __future__ import annotations

import os
import signal

from huey import PriorityRedisHuey, RedisHuey, SqliteHuey

import taskbridge
from taskbridge_huey import HueyBackend
from tests.huey.tasks import write

if "SHOP_FILE" in os.environ:
    huey = SqliteHuey("shop", filename=os.environ["SHOP_FILE"])
else:
    kind = PriorityRedisHuey if "SHOP_PRIORITY" in os.environ else RedisHuey
    huey = kind("shop", url=os.environ["SHOP_REDIS"])


@huey.task()  # type: ignore[untyped-decorator]  # Huey has no types
def own(text: str) -> str:
    write(job="own", text=text)
    return text


@huey.task()  # type: ignore[untyped-decorator]  # as above
def own_deadly() -> None:
    write(job="own_deadly")
    os.kill(os.getpid(), signal.SIGKILL)


taskbridge.configure(
    backends={"default": {"url": HueyBackend(huey=huey, store=os.environ["SHOP_STORE"]), "queues": ["shop"]}}
)
