"""A shop that has a Celery app."""

from __future__ import annotations

import os

from celery import Celery

import taskbridge
from taskbridge_celery import CeleryBackend
from tests.existing_objects.tasks import note

app = Celery("shop", broker=os.environ["SHOP_REDIS"])


@app.task(name="own")  # type: ignore[untyped-decorator]  # Celery has no types
def own(text: str) -> None:
    note(text)


def send_own(text: str) -> None:
    own.delay(text)


# `celery` is where the app's own tasks go.
taskbridge.configure(backends={"default": {"url": CeleryBackend(app=app), "queues": ["default", "celery"]}})
